//! What the system does for a program: it ends with the worker, and its memory and its cores are bounded. On Linux alone.

#[cfg(target_os = "linux")]
mod linux {
    use std::{io, mem};

    use libc::{
        CPU_ISSET, CPU_SET, CPU_SETSIZE, PR_SET_PDEATHSIG, RLIMIT_AS, SIGKILL, cpu_set_t, prctl, rlimit,
        sched_getaffinity, sched_setaffinity, setrlimit,
    };
    use tokio::process::Command;

    /// Has a program end with the worker, use so many bytes of memory, and so many cores: which of them follows from its turn, so
    /// that programs do not all use the same.
    pub fn bound(command: &mut Command, memory: Option<u64>, cores: Option<(usize, usize)>) {
        let cores = cores.map(|(cores, turn)| some_cores(cores, turn));
        // SAFETY: between fork and exec only system calls are made, which is what is allowed there.
        unsafe {
            command.pre_exec(move || {
                done(prctl(PR_SET_PDEATHSIG, SIGKILL))?;
                if let Some(bytes) = memory {
                    done(setrlimit(RLIMIT_AS, &rlimit { rlim_cur: bytes, rlim_max: bytes }))?;
                }
                if let Some(cores) = &cores {
                    done(sched_setaffinity(0, mem::size_of_val(cores), cores))?;
                }
                Ok(())
            });
        }
    }

    fn done(returned: libc::c_int) -> io::Result<()> {
        if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Some of the cores that the worker may use.
    fn some_cores(cores: usize, turn: usize) -> cpu_set_t {
        // SAFETY: a set is plain bits, of which none is set, and the calls are given sets of its size.
        unsafe {
            let (mut all, mut some) = (mem::zeroed::<cpu_set_t>(), mem::zeroed());
            if sched_getaffinity(0, mem::size_of_val(&all), &mut all) != 0 {
                // None: what has no core is not started, and says so.
                return some;
            }
            let all: Vec<usize> = (0..CPU_SETSIZE as usize).filter(|core| CPU_ISSET(*core, &all)).collect();
            let cores = cores.min(all.len());
            let mine = all.iter().cycle().skip(turn.wrapping_mul(cores) % all.len()).take(cores);
            mine.for_each(|core| CPU_SET(*core, &mut some));
            some
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::bound;

#[cfg(not(target_os = "linux"))]
pub fn bound(_: &mut tokio::process::Command, _: Option<u64>, _: Option<(usize, usize)>) {}
