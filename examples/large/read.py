"""Prints the results of a topic, large ones too: read.py SERVERS TOPIC [file:///FOLDER]. Needs the package `confluent-kafka`.

How results are written that are larger than their topic takes: docs/large.md.
"""

import hashlib
import json
import pathlib
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition

servers, topic, *store = sys.argv[1:]
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
    """What a manifest names: an object in the store, or pieces in the topic, as one."""
    if "object" in manifest:
        pieces = [pathlib.Path(store[0].removeprefix("file://"), manifest["object"]).read_bytes()]
    else:
        pieces = in_topic(manifest)
    whole = b"".join(pieces)
    assert hashlib.sha256(whole).hexdigest() == manifest["sha256"], f"{manifest['sha256']}: bytes are missing"
    return whole


def in_topic(manifest):
    """The pieces that a manifest names."""
    wanted = dict(zip(manifest["offsets"], range(manifest["pieces"])))
    pieces = []
    for record in read(manifest["partition"], manifest["offsets"][0]):
        if record.offset() in wanted:
            name = f"{manifest['id']}/{wanted[record.offset()]}"
            assert dict(record.headers())["pipeline.piece"] == name.encode(), f"offset {record.offset()} is not {name}"
            pieces.append(record.value())
        if len(pieces) == manifest["pieces"]:
            break
    return pieces


for partition in Consumer(settings).list_topics(topic).topics[topic].partitions:
    for record in read(partition, 0):
        headers = dict(record.headers() or [])
        if "pipeline.manifest" in headers:
            print(join(json.loads(record.value())).decode())
        elif "pipeline.piece" not in headers:
            print(record.value().decode())
