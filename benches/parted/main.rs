//! One giant n with two workers, of one core each: `cargo bench --bench parted`, whose numbers are in `src/factorial/README.md`.
//!
//! The last step of n!, r (r P), takes half of its time, and the steps before are the same, each with half of the digits. Here one
//! process makes that step alone, and then two do, each pinned to a core: the second one receives r, both make r P, each multiplies
//! half of r by it, and the first one puts the halves together. What goes from one to the other goes through a connection of this
//! machine, or through a topic. The numbers are random, of the lengths that n = 20,000,000 has; both results are compared.

#[path = "../shared/broker.rs"]
mod broker;

use std::{
    env,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

use broker::Broker;
use pipeline::factorial::multiply_limbs;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

/// Limbs of r and of P, fifteen digits each, where n = 20,000,000.
const LENGTHS: (usize, usize) = (4_375_000, 406_000);
/// Seconds for each byte that goes through a topic, as the model has it.
const HANDLING: f64 = 7e-9;
/// Bytes of a record.
const RECORD: usize = 900_000;
const ROUNDS: usize = 3;
const TOPICS: [&str; 2] = ["parted-out", "parted-back"];

/// What goes from one process to the other.
enum Way {
    Connection(TcpStream),
    Topic { producer: BaseProducer, to: &'static str, consumer: BaseConsumer },
}

impl Way {
    fn topic(servers: &str, to: &'static str, from: &str) -> Way {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers);
        let mut of_consumer = config.clone();
        of_consumer.set("group.id", "parted").set("fetch.queue.backoff.ms", "2");
        let consumer: BaseConsumer = of_consumer.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(from, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let producer =
            config.set("linger.ms", "0").set("queue.buffering.max.kbytes", "262144").create().unwrap();
        Way::Topic { producer, to, consumer }
    }

    fn send(&mut self, limbs: &[u64]) {
        let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        match self {
            Way::Connection(stream) => stream.write_all(&bytes).unwrap(),
            Way::Topic { producer, to, .. } => {
                for piece in bytes.chunks(RECORD) {
                    producer.send(BaseRecord::<(), _>::to(to).payload(piece)).unwrap();
                    producer.poll(Duration::ZERO);
                }
                producer.flush(Duration::from_secs(60)).unwrap();
            }
        }
    }

    fn receive(&mut self, limbs: usize) -> Vec<u64> {
        let mut bytes = vec![0; 8 * limbs];
        match self {
            Way::Connection(stream) => stream.read_exact(&mut bytes).unwrap(),
            Way::Topic { consumer, .. } => {
                let mut at = 0;
                while at < bytes.len() {
                    // Brokers come and go.
                    let Some(Ok(record)) = consumer.poll(Duration::from_secs(60)) else { continue };
                    let piece = record.payload().unwrap();
                    bytes[at..at + piece.len()].copy_from_slice(piece);
                    at += piece.len();
                }
            }
        }
        bytes.chunks_exact(8).map(|limb| u64::from_le_bytes(limb.try_into().unwrap())).collect()
    }
}

fn number(limbs: usize, seed: u64) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..limbs).map(|_| random.u64(1..1_000_000_000_000_000)).collect()
}

fn pin(core: usize) {
    // SAFETY: the set is as large as it is said to be, and of this thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
}

/// The worker that helps: receives r, and sends its upper half times r P.
fn help(mut way: Way) {
    let p = number(LENGTHS.1, 2);
    for _ in 0..ROUNDS {
        let r = way.receive(LENGTHS.0);
        let product = multiply_limbs(&r[LENGTHS.0 / 2..], &multiply_limbs(&r, &p));
        way.send(&[product.len() as u64]);
        way.send(&product);
    }
}

/// Both workers' time, and what they have made.
fn together(way: &mut Way, r: &[u64], p: &[u64]) -> (f64, Vec<u64>) {
    let began = Instant::now();
    way.send(r);
    let (lower, upper) = r.split_at(r.len() / 2);
    let mut product = multiply_limbs(lower, &multiply_limbs(r, p));
    let length = way.receive(1)[0] as usize;
    let other = way.receive(length);
    product.resize((lower.len() + other.len()).max(product.len()), 0);
    let mut carry = 0;
    for (place, limb) in product[lower.len()..].iter_mut().enumerate() {
        let sum = *limb + other.get(place).unwrap_or(&0) + carry;
        (*limb, carry) = (sum % 1_000_000_000_000_000, sum / 1_000_000_000_000_000);
    }
    assert_eq!((carry, upper.len() + lower.len()), (0, r.len()));
    (began.elapsed().as_secs_f64(), product)
}

fn helper(arguments: &[&str]) -> Child {
    Command::new(env::current_exe().unwrap()).args(arguments).env("RAYON_NUM_THREADS", "1").spawn().unwrap()
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--help-at", address] => {
            pin(1);
            return help(Way::Connection(TcpStream::connect(address).unwrap()));
        }
        ["--help-through", servers] => {
            pin(1);
            return help(Way::topic(servers, TOPICS[1], TOPICS[0]));
        }
        _ => {}
    }
    // Each worker has one core. The broker may use both.
    let broker = Broker::start();
    TOPICS.iter().for_each(|topic| drop(broker.topic(topic, 1)));
    // SAFETY: no other thread of ours is there yet.
    unsafe { env::set_var("RAYON_NUM_THREADS", "1") };
    pin(0);
    let (r, p) = (number(LENGTHS.0, 1), number(LENGTHS.1, 2));
    let (mut alone, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        whole = multiply_limbs(&r, &multiply_limbs(&r, &p));
        alone.push(began.elapsed().as_secs_f64());
    }
    let one = best(&alone);
    println!("the last step of n = 20,000,000\n  one worker               {one:.2} s");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut child = helper(&["--help-at", &address]);
    let mut way = Way::Connection(listener.accept().unwrap().0);
    report("through a connection", one, 0.0, &mut way, &r, &p, &whole);
    child.wait().unwrap();

    let mut child = helper(&["--help-through", &broker.servers]);
    let mut way = Way::topic(&broker.servers, TOPICS[0], TOPICS[1]);
    let bytes = 8.0 * (r.len() as f64 + whole.len() as f64 / 2.0);
    report("through a topic", one, bytes * HANDLING, &mut way, &r, &p, &whole);
    child.wait().unwrap();
}

fn report(name: &str, one: f64, handling: f64, way: &mut Way, r: &[u64], p: &[u64], whole: &[u64]) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let (took, mut product) = together(way, r, p);
        product.truncate(product.iter().rposition(|limb| *limb > 0).map_or(0, |last| last + 1));
        assert!(product == whole, "another product");
        times.push(took);
    }
    let (two, model) = (best(&times), one / 2.0 + handling);
    println!(
        "  two, {name:<20} {two:.2} s, {:.2} times as fast; the model says {model:.2} s, {:.2} times: off by {:.0} %",
        one / two,
        one / model,
        100.0 * (two / model - 1.0)
    );
}
