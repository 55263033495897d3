//! A producer that breaks the protocol: it writes records of a transaction that no coordinator was told of.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Where in which producer's life a record is.
#[derive(Clone, Copy, Debug)]
pub struct Forged {
    pub producer: i64,
    pub epoch: i16,
    /// How many records the producer has written to the partition.
    pub sequence: i32,
}

/// Writes one record of a transaction to a partition; returns its offset. The broker must have `transaction.partition.verification.enable=false`.
pub fn forge(servers: &str, topic: &str, partition: i32, of: Forged, key: &str) -> i64 {
    let batch = batch(of, key);
    let mut body = Vec::new();
    string(&mut body, "forger");
    body.extend((-1_i16).to_be_bytes());
    body.extend(10_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(partition.to_be_bytes());
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);
    // Produce, version 3: the oldest that Kafka 4 knows.
    let mut header = Vec::new();
    header.extend(0_i16.to_be_bytes());
    header.extend(3_i16.to_be_bytes());
    header.extend(7_i32.to_be_bytes());
    string(&mut header, "forger");
    let mut socket = TcpStream::connect(servers).unwrap();
    let request = [header, body].concat();
    socket.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
    socket.write_all(&request).unwrap();
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut answer).unwrap();
    // The number of the request, one topic with its name, one partition with its number.
    let rest = &answer[4 + 4 + 2 + topic.len() + 4 + 4..];
    let code = i16::from_be_bytes(rest[..2].try_into().unwrap());
    assert_eq!(code, 0, "the broker does not take the forged record");
    i64::from_be_bytes(rest[2..10].try_into().unwrap())
}

fn string(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as i16).to_be_bytes());
    to.extend(text.as_bytes());
}

/// A batch of one record, of version 2, with the bit of transactions.
fn batch(of: Forged, key: &str) -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    // Its lengths are below 64, so that a byte has each: no attributes, time and offset as the batch has them.
    let mut record = vec![0, 0, 0, key.len() as u8 * 2];
    record.extend(key.as_bytes());
    // No value, no headers.
    record.extend([1, 0]);
    let mut summed = Vec::new();
    summed.extend(0x10_i16.to_be_bytes());
    summed.extend(0_i32.to_be_bytes());
    summed.extend(now.to_be_bytes());
    summed.extend(now.to_be_bytes());
    summed.extend(of.producer.to_be_bytes());
    summed.extend(of.epoch.to_be_bytes());
    summed.extend(of.sequence.to_be_bytes());
    summed.extend(1_i32.to_be_bytes());
    summed.push(record.len() as u8 * 2);
    summed.extend(record);
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes());
    // The leader's epoch, the version and the sum belong to the length.
    batch.extend((4 + 1 + 4 + summed.len() as i32).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&summed).to_be_bytes());
    batch.extend(summed);
    batch
}

/// Castagnoli's, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}
