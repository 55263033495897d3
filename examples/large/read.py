"""Prints the results of a topic, those in pieces too: read.py SERVERS TOPIC. Needs the package `confluent-kafka`.

How results are written that are larger than their topic takes: docs/large.md.
"""

import hashlib
import json
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition

servers, topic = sys.argv[1:]
settings = {"bootstrap.servers": servers, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True}


def read(partition, offset):
    """The records of a partition from an offset on, to its end."""
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, partition, offset)])
    while (record := consumer.poll()).error() is None:
        yield record
    if record.error().code() != KafkaError._PARTITION_EOF:
        sys.exit(str(record.error()))


def join(manifest):
    """The pieces that a manifest names, as one."""
    wanted = dict(zip(manifest["offsets"], range(manifest["pieces"])))
    pieces = []
    for record in read(manifest["partition"], manifest["offsets"][0]):
        if record.offset() in wanted:
            name = f"{manifest['id']}/{wanted[record.offset()]}"
            assert dict(record.headers())["pipeline.piece"] == name.encode(), f"offset {record.offset()} is not {name}"
            pieces.append(record.value())
        if len(pieces) == manifest["pieces"]:
            break
    whole = b"".join(pieces)
    assert hashlib.sha256(whole).hexdigest() == manifest["sha256"], f"{manifest['id']}: pieces are missing"
    return whole


for partition in Consumer(settings).list_topics(topic).topics[topic].partitions:
    for record in read(partition, 0):
        headers = dict(record.headers() or [])
        if "pipeline.manifest" in headers:
            print(join(json.loads(record.value())).decode())
        elif "pipeline.piece" not in headers:
            print(record.value().decode())
