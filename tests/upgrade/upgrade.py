"""Two versions in one group, exactly-once and under load: each is killed, and the other takes its partitions over.

A service that takes long for some records leaves holes: what is done behind them is only in the metadata of the committed
offsets. Whoever cannot read what the other version has written there does those records twice.
"""

import hashlib, http.server, os, signal, socket, struct, subprocess, sys, threading, time
from collections import Counter
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

OLD, NEW, WORK = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
PARTITIONS, RATE = 4, 100
# Without `version`: files of a version that does not know it are read by both.
PIPELINE = """
name = "upgraded"
guarantee = "exactly-once"
order = "none"
[source]
topic = "requests"
format = "string"
[operators.ask]
operator = "http"
url = "{service}"
concurrency = 100
[sink]
topic = "results"
format = "string"
[commit]
interval = "100 ms"
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answer(request):
    """What must come of a request: nothing that another one could have too."""
    return f"{request} {hashlib.sha256(request.encode()).hexdigest()}"


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = self.rfile.read(int(self.headers["content-length"])).decode()
        if int(request) % 49 == 0:
            time.sleep(3)
        body = answer(request).encode()
        try:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # of a worker that was killed

    def log_message(self, *_):
        pass


class Worker:
    started = 0

    def __init__(self, program, file, environment):
        Worker.started += 1
        self.version = "old" if program == OLD else "new"
        self.log = WORK / f"worker-{Worker.started}-{self.version}.log"
        self.process = subprocess.Popen(
            [program, "run", file], env=environment, stdout=subprocess.DEVNULL, stderr=self.log.open("wb")
        )

    def kill(self):
        assert self.process.poll() is None, f"it ended by itself:\n{self.log.read_text()[-3000:]}"
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        assert code == 0, f"exit code {code} of a worker that was told to stop:\n{self.log.read_text()[-3000:]}"


def text(data, at):
    length = struct.unpack_from(">h", data, at)[0]
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


def metadata(value):
    """What is beside the offset in a value of __consumer_offsets."""
    version = struct.unpack_from(">h", value)[0]
    if version < 4:
        return text(value, 10 if version < 3 else 14)[0]
    # From 4 on, a length is one more than it is, seven bits in a byte.
    length, at = 0, 14
    for shift in range(0, 35, 7):
        length |= (value[at] & 127) << shift
        at += 1
        if value[at - 1] < 128:
            break
    return value[at : at + length - 1].decode()


def reader(servers, topic):
    """A consumer at the beginning of all of a topic's partitions."""
    consumer = Consumer({
        "bootstrap.servers": servers,
        "group.id": "reader",
        # Commits would be among what is read.
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "log_level": 0,
    })
    parts = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, part, 0) for part in parts])
    return consumer


def commits(servers):
    """Each committed offset of the group's, in the order in which they came to the broker: time, partition, offset, metadata."""
    consumer = reader(servers, "__consumer_offsets")
    found, quiet = [], time.monotonic()
    while time.monotonic() - quiet < 5:
        message = consumer.poll(0.5)
        if message is None or message.error():
            continue
        quiet, key, value = time.monotonic(), message.key(), message.value()
        # 0 and 1 are offsets; a tombstone is one that was deleted.
        if value is None or struct.unpack_from(">h", key)[0] > 1:
            continue
        group, at = text(key, 2)
        name, at = text(key, at)
        if (group, name) == ("upgraded", "requests"):
            partition = struct.unpack_from(">i", key, at)[0]
            offset = struct.unpack_from(">q", value, 2)[0]
            found.append((message.timestamp()[1] / 1000, partition, offset, metadata(value)))
    consumer.close()
    return sorted(found)


def results(servers, topic, wanted, limit):
    """All that a reader of committed records sees; it waits for `wanted` of them, and a while for more."""
    consumer = reader(servers, topic)
    found, keys, end = [], set(), time.monotonic() + limit
    while time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            found.append((message.key().decode(), (message.value() or b"").decode()))
            keys.add(found[-1][0])
            # A second result may come a while behind the first.
            if len(keys) == wanted:
                end = min(end, time.monotonic() + 10)
    consumer.close()
    return found


def main():
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    service.daemon_threads = True
    service.handle_error = lambda *_: None
    threading.Thread(target=service.serve_forever, daemon=True).start()
    port = free_port()
    servers = f"127.0.0.1:{port}"
    environment = {**os.environ, "PIPELINE_BOOTSTRAP_SERVERS": servers, "RUST_LOG": "info"}
    file = WORK / "upgraded.toml"
    file.write_text(PIPELINE.format(service=f"http://127.0.0.1:{service.server_port}/"))
    log = (WORK / "broker.log").open("wb")
    broker = subprocess.Popen([NEW, "broker", "--port", str(port), "--data", WORK / "broker"], stdout=log, stderr=log)
    running = []
    try:
        run(servers, file, environment, broker, running)
    finally:
        for worker in running:
            if worker.process.poll() is None:
                worker.process.kill()
        broker.send_signal(signal.SIGTERM)
        try:
            broker.wait(60)
        except subprocess.TimeoutExpired:
            broker.kill()


def run(servers, file, environment, broker, running):
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    for _ in range(120):
        assert broker.poll() is None, (WORK / "broker.log").read_text()
        try:
            admin.list_topics(timeout=2)
            break
        except Exception:
            time.sleep(1)
    topics = [NewTopic(name, PARTITIONS, 1) for name in ("requests", "results", "requests.dlq")]
    for future in admin.create_topics(topics).values():
        future.result(30)

    sent, over = [0], threading.Event()

    def load():
        producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True})
        begin = time.monotonic()
        while not over.is_set():
            request = str(sent[0])
            producer.produce("requests", request, request, partition=sent[0] % PARTITIONS)
            sent[0] += 1
            producer.poll(0)
            time.sleep(max(0, begin + sent[0] / RATE - time.monotonic()))
        assert producer.flush(60) == 0

    def start(program):
        running.append(Worker(program, file, environment))
        return running[-1]

    takeovers, began = [], time.monotonic()

    def step(what, seconds, end=None):
        """Ends workers, if any, and lets those that are there go on for a while."""
        print(f"{time.monotonic() - began:4.0f} s: {what}, {sent[0]} requests", flush=True)
        if end:
            end()
            takeovers.append((what, time.time()))
        time.sleep(seconds)

    loader = threading.Thread(target=load)
    loader.start()
    try:
        a, b = start(OLD), start(OLD)
        step("two old workers", 8)
        # A worker that was killed is missed after 8 s.
        step("an old one is killed", 1, a.kill)
        c = start(NEW)
        step("an old one and a new one", 16)
        step("the new one is killed", 1, c.kill)
        c = start(NEW)
        step("a new one again", 16)
        step("the old one is told to stop, and its partitions go to the new one", 6, b.stop)
        step("the new one is killed: back to the old version", 1, c.kill)
        a = start(OLD)
        step("an old one alone", 16)
        b = start(NEW)
        step("an old one and a new one once more", 8)
        step("both are killed at once", 1, lambda: (a.kill(), b.kill()))
        a, b = start(NEW), start(NEW)
        step("two new ones", 14)
    finally:
        over.set()
        loader.join()

    print(f"{time.monotonic() - began:4.0f} s: reading the results", flush=True)
    wanted = {str(request): answer(str(request)) for request in range(sent[0])}
    found = results(servers, "results", len(wanted), 90)
    for worker in (a, b):
        worker.stop()
    seen = Counter(key for key, _ in found)
    twice = sorted((key for key, times in seen.items() if times > 1), key=int)
    lost = sorted(wanted.keys() - seen.keys(), key=int)
    wrong = sorted((key for key, value in found if wanted.get(key) != value), key=int)
    dead = results(servers, "requests.dlq", -1, 3)

    print(f"{time.monotonic() - began:4.0f} s: reading what was committed", flush=True)
    # What was done behind holes when somebody took over, or the test shows nothing.
    history, behind = commits(servers), {}
    for what, when in takeovers:
        last = {partition: beside for time_, partition, _, beside in history if time_ <= when}
        behind[what] = sum(bool(beside) for beside in last.values())
    for what, count in behind.items():
        print(f"{what}: {count} of {PARTITIONS} partitions had something done behind what was not")
    print(f"{len(wanted)} requests, {len(seen)} with a result; lost {lost[:20]}, twice {twice[:20]}, wrong {wrong[:20]}, "
          f"dead letters {dead[:5]}")
    assert not (lost or twice or wrong or dead)
    # A worker that was told to stop leaves no holes where it can finish in time; those that were killed do.
    killed = [count for what, count in behind.items() if "killed" in what]
    assert len(killed) == 4 and all(killed), "no hole when a worker was killed: the test has shown nothing"
    print(f"{time.monotonic() - began:4.0f} s")
    print("each request has its result exactly once, whichever version took over from which")


main()
