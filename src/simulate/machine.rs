//! A worker's machine: virtual time, seeded randomness, and work that is computed when the scheduler decides.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::future::BoxFuture;

use super::world::{ClientId, Shared, Step, lock};
use crate::engine::{Length, Runtime};

/// The clock's time at the start, in milliseconds since 1970 UTC.
const EPOCH: u64 = 1_700_000_000_000;

pub struct VirtualMachine {
    pub world: Shared,
    pub client: ClientId,
    pub name: String,
}

impl Runtime for VirtualMachine {
    fn now(&self) -> Duration {
        lock(&self.world).now
    }

    fn unix_millis(&self) -> u64 {
        EPOCH + self.now().as_millis() as u64
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let timer = Arc::<Timer>::default();
        lock(&self.world).plan(duration, Some(self.client), Step::Timer(timer.clone()));
        Box::pin(Sleep(timer))
    }

    fn random(&self) -> f64 {
        lock(&self.world).random.f64()
    }

    fn compute(&self, _: Length, work: Box<dyn FnOnce() + Send>) {
        let mut world = lock(&self.world);
        let longest = world.script.settings.compute.as_micros() as u64;
        let took = Duration::from_micros(world.random.u64(0..=longest));
        world.plan(took, Some(self.client), Step::Compute(work));
    }

    fn cores(&self) -> usize {
        2
    }
}

/// A timer.
#[derive(Default)]
pub struct Timer {
    over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Timer {
    pub fn fire(&self) {
        self.over.store(true, SeqCst);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

struct Sleep(Arc<Timer>);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0.over.load(SeqCst) {
            return Poll::Ready(());
        }
        *self.0.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // A timer that was dropped wakes nobody.
        *self.0.waker.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whether an engine has something to do.
#[derive(Default)]
pub struct Signal(AtomicBool);

impl Signal {
    pub fn take(&self) -> bool {
        self.0.swap(false, SeqCst)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}
