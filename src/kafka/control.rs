//! Where it is written what is wanted of a group's workers: in the metadata of an offset that is committed for one partition in a group of its
//! own, `GROUP.control`, which has no members. So no topic is needed, and what was said outlives whoever said it.

use std::{
    fmt,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use rdkafka::{
    ClientContext, Offset as RdOffset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use super::{log, offsets::commit_list, pace::Throttle, settings, threads};
use crate::{
    config::Pipeline,
    control::{Change, Wanted},
    engine::CommitOffset,
    record::{Offset, TopicPartition},
};

/// How often a worker asks what is wanted.
const EACH: Duration = Duration::from_secs(1);
/// The same of one that lacks a right.
const EACH_DENIED: Duration = Duration::from_secs(60);
/// How long the brokers may take to answer once. Only then does librdkafka say that it was denied the group's coordinator.
const ASK: Duration = Duration::from_secs(2);
/// The pause before it does.
const PAUSE: Duration = Duration::from_millis(200);
/// For how long a command asks again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a worker that starts takes no record because it does not know yet what is wanted.
const FIRST: Duration = Duration::from_secs(15);
/// What a worker commits again when it was written that long ago: brokers forget the offsets of a group without members after
/// `offsets.retention.minutes`, a week where nobody changed it (KIP-211).
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why it cannot be read or written what is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ControlError {
    /// This user lacks a right, which no further try gives it.
    Denied(String),
    /// The brokers do not answer, or not with that.
    Away(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ControlError::Denied(sentence) | ControlError::Away(sentence)) = self;
        f.write_str(sentence)
    }
}

/// A client for what is wanted of a pipeline's workers. All of it blocks.
pub struct ControlGroup {
    consumer: BaseConsumer<Quiet>,
    group: String,
    /// The partition whose offset it is.
    partition: TopicPartition,
    /// For how long it is asked again where there is no answer.
    patience: Duration,
}

impl ControlGroup {
    /// For a command, which has some time.
    ///
    /// # Errors
    /// librdkafka does not take the settings.
    pub fn new(pipeline: &Pipeline) -> Result<Self, String> {
        ControlGroup::with(pipeline, PATIENCE)
    }

    fn with(pipeline: &Pipeline, patience: Duration) -> Result<Self, String> {
        let group = format!("{}.control", pipeline.source.group);
        let mut config = settings::common(pipeline);
        config.set("group.id", &group).set("enable.auto.commit", "false");
        let consumer = config.create_with_context(Quiet).map_err(|error| error.to_string())?;
        // A pattern names no topic; all that it matches may be gone one day, and dead letters have a topic in any case.
        let topic = match pipeline.source.is_pattern() {
            true => &pipeline.dead_letters,
            false => &pipeline.source.topic().topic,
        };
        let partition = TopicPartition::new(Arc::from(topic.as_str()), 0);
        Ok(ControlGroup { consumer, group, partition, patience })
    }

    /// What is wanted. Where something else is there than what this version writes, a warning says so, and nothing is wanted.
    ///
    /// # Errors
    /// No broker answers, or this user lacks a right.
    pub fn read(&self) -> Result<Wanted, ControlError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.read_once() {
                Err(ControlError::Away(_)) if Instant::now() < deadline => thread::sleep(PAUSE),
                answer => return answer,
            }
        }
    }

    fn read_once(&self) -> Result<Wanted, ControlError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.partition.topic, self.partition.partition);
        let answer = self.consumer.committed_offsets(list, ASK);
        let complaint = self.complaint();
        let list = answer.map_err(|error| self.error("read", &error, complaint.as_ref()))?;
        let elements = list.elements();
        let Some(element) = elements.first() else { return Ok(Wanted::default()) };
        match element.error() {
            // There is nothing where there is no topic.
            Ok(()) | Err(KafkaError::OffsetFetch(Code::UnknownTopicOrPartition)) => {}
            Err(error) => return Err(self.error("read", &error, None)),
        }
        if !matches!(element.offset(), RdOffset::Offset(_)) {
            return Ok(Wanted::default());
        }
        Ok(element.metadata().parse().unwrap_or_else(|error| {
            tracing::warn!(
                group = self.group,
                "what is committed for {} is not followed: {error}",
                self.partition
            );
            Wanted::default()
        }))
    }

    /// Writes what is wanted.
    ///
    /// # Errors
    /// No broker answers, there is no such topic, or this user lacks a right.
    pub fn write(&self, wanted: &Wanted) -> Result<(), ControlError> {
        let partition = self.partition.clone();
        let offset = CommitOffset { partition, offset: Offset(0), metadata: wanted.to_string() };
        let written = commit_list(&[offset]).and_then(|list| self.consumer.commit(&list, CommitMode::Sync));
        let complaint = self.complaint();
        written.map_err(|error| self.error("written", &error, complaint.as_ref()))
    }

    /// Has something else be wanted. Returns what was wanted before, and what is now.
    ///
    /// # Errors
    /// As for [`read`](ControlGroup::read) and [`write`](ControlGroup::write).
    pub fn change(&self, change: Change) -> Result<(Wanted, Wanted), ControlError> {
        let before = self.read()?;
        let after = before.with(change, SystemTime::now());
        self.write(&after)?;
        Ok((before, after))
    }

    /// The last error that the client itself reports, if any: it says more than that there was no answer. They must not pile up either.
    fn complaint(&self) -> Option<KafkaError> {
        let mut last = None;
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            last = polled.err().or(last);
        }
        last
    }

    fn error(&self, what: &str, error: &KafkaError, complaint: Option<&KafkaError>) -> ControlError {
        let codes = [error.rdkafka_error_code(), complaint.and_then(KafkaError::rdkafka_error_code)];
        let (group, topic) = (&self.group, &self.partition.topic);
        if codes.contains(&Some(Code::GroupAuthorizationFailed)) {
            return ControlError::Denied(format!("this user lacks the right READ on the group {group}"));
        }
        if codes.contains(&Some(Code::TopicAuthorizationFailed)) {
            return ControlError::Denied(format!("this user lacks the right READ on the topic {topic}"));
        }
        if codes.contains(&Some(Code::UnknownTopicOrPartition)) {
            return ControlError::Away(format!("there is no topic {topic} at the broker"));
        }
        let reason = complaint.unwrap_or(error);
        ControlError::Away(format!("the offsets of the group {group} cannot be {what}: {reason}"))
    }
}

/// Says nothing of brokers that are away: the worker's other clients do.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        log::log(RDKafkaLogLevel::Debug, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Quiet {}

/// Follows what is wanted, on a thread of its own; dropping this ends it.
pub struct ControlFollowing {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ControlFollowing {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().into_iter().for_each(threads::join);
    }
}

/// Sets the throttle as it is wanted, asked about once a second, and says each change to `tell`, or once why it is not known: then all goes on
/// as it was, or as the file says where it was never known.
///
/// # Errors
/// Where the client or its thread cannot be made.
pub fn follow_control(
    pipeline: &Pipeline,
    throttle: Arc<Throttle>,
    tell: impl FnMut(Result<Wanted, ControlError>) + Send + 'static,
) -> Result<ControlFollowing, String> {
    let group = ControlGroup::with(pipeline, Duration::ZERO)?;
    let (stop, stopped) = mpsc::channel();
    let follower = Follower { group, throttle, tell, known: None, silent: false, began: Instant::now() };
    let thread = thread::Builder::new().name("control".to_owned()).spawn(move || follower.run(&stopped));
    let thread = thread.map_err(|error| error.to_string())?;
    Ok(ControlFollowing { stop: Some(stop), thread: Some(thread) })
}

struct Follower<F> {
    group: ControlGroup,
    throttle: Arc<Throttle>,
    tell: F,
    /// What was wanted when it was asked last; `None` before the first answer.
    known: Option<Wanted>,
    /// Whether it was said that there is no answer.
    silent: bool,
    began: Instant,
}

impl<F: FnMut(Result<Wanted, ControlError>)> Follower<F> {
    fn run(mut self, stopped: &mpsc::Receiver<()>) {
        loop {
            let answer = self.group.read();
            let wait = if matches!(answer, Err(ControlError::Denied(_))) { EACH_DENIED } else { EACH };
            match answer {
                Ok(wanted) => self.answered(wanted),
                Err(error) => self.unanswered(error),
            }
            if stopped.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn answered(&mut self, wanted: Wanted) {
        self.silent = false;
        // What is only written again is no change.
        let is_same = |known: Wanted| (known.paused(), known.rate) == (wanted.paused(), wanted.rate);
        if !self.known.replace(wanted).is_some_and(is_same) {
            self.throttle.set(&wanted);
            (self.tell)(Ok(wanted));
        }
        let now = SystemTime::now();
        if !wanted.is_nothing() && wanted.age(now) > AGE {
            // It was read a moment ago: only what somebody writes in that moment would be lost, once a day.
            if let Err(error) = self.group.write(&wanted.again(now)) {
                tracing::warn!(
                    group = self.group.group,
                    "what is wanted of the workers is not written again, so the brokers may forget it: {error}"
                );
            }
        }
    }

    fn unanswered(&mut self, error: ControlError) {
        let may_pass = matches!(error, ControlError::Away(_)) && self.known.is_none();
        if may_pass && self.began.elapsed() < FIRST || std::mem::replace(&mut self.silent, true) {
            return;
        }
        if self.known.is_none() {
            self.throttle.set(&Wanted::default());
        }
        (self.tell)(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rdkafka::{
        ClientConfig,
        mocking::MockCluster,
        producer::DefaultProducerContext,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

    use super::*;
    use crate::{control::Rate, kafka::pace::Pace};

    fn cluster() -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        cluster
    }

    fn group(cluster: &MockCluster<'static, DefaultProducerContext>) -> ControlGroup {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g.control");
        let consumer = config.create_with_context(Quiet).unwrap();
        let partition = TopicPartition::new("t", 0);
        ControlGroup { consumer, group: "g.control".to_owned(), partition, patience: Duration::from_secs(10) }
    }

    fn follower<F: FnMut(Result<Wanted, ControlError>)>(group: ControlGroup, tell: F) -> Follower<F> {
        let throttle = Arc::new(Throttle::held());
        Follower { group, throttle, tell, known: None, silent: false, began: Instant::now() }
    }

    /// How many records may be taken a second from now on, where the file sets no limit.
    fn allowed(throttle: &Arc<Throttle>) -> usize {
        let now = Instant::now();
        Pace::new(throttle.clone(), None, now).allowance(now + Duration::from_secs(1))
    }

    #[test]
    fn what_one_client_writes_another_reads_and_what_is_none_of_it_is_not_followed() {
        let cluster = cluster();
        let (one, other) = (group(&cluster), group(&cluster));
        assert_eq!(other.read(), Ok(Wanted::default()));
        let (before, paused) = one.change(Change::Pause).unwrap();
        assert_eq!((before, other.read()), (Wanted::default(), Ok(paused)));
        assert!(paused.paused().is_some());
        let (before, slow) = other.change(Change::Rate(Rate::At(5))).unwrap();
        assert_eq!((before, slow.paused(), slow.rate), (paused, paused.paused(), Rate::At(5)));
        let partition = TopicPartition::new("t", 0);
        let junk = CommitOffset { partition, offset: Offset(7), metadata: "c9:everything".to_owned() };
        one.consumer.commit(&commit_list(&[junk]).unwrap(), CommitMode::Sync).unwrap();
        assert_eq!(other.read(), Ok(Wanted::default()));
    }

    #[test]
    fn a_worker_follows_each_change_once_and_writes_again_what_is_a_day_old() {
        let cluster = cluster();
        let (writer, told) = (group(&cluster), Mutex::new(Vec::new()));
        let mut follower = follower(group(&cluster), |wanted| told.lock().unwrap().push(wanted));
        let throttle = follower.throttle.clone();
        let mut ask = || {
            let wanted = follower.group.read().unwrap();
            follower.answered(wanted);
        };
        assert_eq!(allowed(&throttle), 0, "nothing is known yet");
        ask();
        assert_eq!(allowed(&throttle), usize::MAX);
        let old = Wanted::default().with(Change::Pause, SystemTime::now() - AGE - Duration::from_secs(9));
        writer.write(&old).unwrap();
        ask();
        assert_eq!(allowed(&throttle), 0);
        let kept = writer.read().unwrap();
        assert_eq!(kept.paused(), old.paused(), "it is paused since then");
        assert!(kept.age(SystemTime::now()) < Duration::from_secs(60), "and was written again");
        ask();
        assert_eq!(writer.read(), Ok(kept), "but once");
        let (_, resumed) = writer.change(Change::Resume).unwrap();
        ask();
        assert_eq!(allowed(&throttle), usize::MAX);
        assert_eq!(*told.lock().unwrap(), [Ok(Wanted::default()), Ok(old), Ok(resumed)]);
    }

    #[test]
    fn without_the_right_a_worker_goes_on_as_it_was_and_says_so_once() {
        let cluster = cluster();
        let told = Mutex::new(Vec::new());
        let mut follower = follower(group(&cluster), |wanted| told.lock().unwrap().push(wanted));
        let throttle = follower.throttle.clone();
        let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::OffsetFetch, &[denied, denied]);
        for _ in 0..2 {
            let error = follower.group.read().unwrap_err();
            follower.unanswered(error);
        }
        assert_eq!(allowed(&throttle), usize::MAX, "as if nobody wanted anything");
        let sentence = "this user lacks the right READ on the group g.control".to_owned();
        assert_eq!(*told.lock().unwrap(), [Err(ControlError::Denied(sentence))]);
        // Where it is known, a right that is taken away changes nothing.
        let (_, paused) = group(&cluster).change(Change::Pause).unwrap();
        follower.answered(paused);
        follower.unanswered(ControlError::Denied(String::new()));
        follower.unanswered(ControlError::Away(String::new()));
        assert_eq!((allowed(&throttle), told.lock().unwrap().len()), (0, 3));
    }

    #[test]
    fn a_worker_waits_a_while_for_the_first_answer() {
        let cluster = cluster();
        let told = Mutex::new(0);
        let mut follower = follower(group(&cluster), |_| *told.lock().unwrap() += 1);
        let throttle = follower.throttle.clone();
        follower.unanswered(ControlError::Away("no broker".to_owned()));
        assert_eq!((allowed(&throttle), *told.lock().unwrap()), (0, 0));
        follower.began -= FIRST;
        follower.unanswered(ControlError::Away("no broker".to_owned()));
        assert_eq!((allowed(&throttle), *told.lock().unwrap()), (usize::MAX, 1));
    }
}
