//! What brokers say, and what strangers may say in their place.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::{
    Connection, Security, WireError,
    bytes::{Malformed, Reader, Writer},
    messages::Topics,
};

/// Answers the requests of one connection with these bytes behind the number of each.
fn broker(answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        for answer in answers {
            let mut length = [0; 4];
            socket.read_exact(&mut length).unwrap();
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            socket.read_exact(&mut request).unwrap();
            let answer = [&request[4..8], &answer].concat();
            socket.write_all(&(answer.len() as u32).to_be_bytes()).unwrap();
            socket.write_all(&answer).unwrap();
        }
    });
    port
}

/// That it knows version 0 to 2 of a request.
fn knows(key: i16) -> Vec<u8> {
    let mut answer = Writer::new(false);
    answer.i16(0);
    answer.array(&[key], |answer, key| [*key, 0, 2].into_iter().for_each(|number| answer.i16(number)));
    answer.finish()
}

fn connect(answers: Vec<Vec<u8>>) -> Connection {
    let plain = Security::of(|_| None).ok().unwrap();
    Connection::open("127.0.0.1", broker(answers), &plain, "test").unwrap()
}

#[test]
fn what_is_written_is_read_in_both_encodings() {
    for flexible in [false, true] {
        let mut writer = Writer::new(flexible);
        writer.string("ä");
        writer.array(&[1, 300], |writer, number| writer.i32(*number));
        writer.end();
        writer.i64(-5);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes, flexible);
        assert_eq!(reader.string(), Ok("ä".to_owned()));
        assert_eq!(reader.array(Reader::i32), Ok(vec![1, 300]));
        assert_eq!((reader.end(), reader.i64()), (Ok(()), Ok(-5)));
        assert_eq!(reader.i16(), Err(Malformed("it ends too early")));
    }
}

#[test]
fn no_length_is_believed() {
    let long = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2], true).array(Reader::i32);
    assert_eq!(long, Err(Malformed("a list is longer than the answer")));
    let long = Reader::new(&[0x7f, 0xff, 0xff, 0xff], false).array(Reader::i32);
    assert_eq!(long, Err(Malformed("a list is longer than the answer")));
    let negative = Reader::new(&[0x80, 0, 0, 0], false).array(Reader::i32);
    assert_eq!(negative, Err(Malformed("a list has a negative length")));
    assert_eq!(Reader::new(&[0x7f, 0xff, b'a'], false).string(), Err(Malformed("it ends too early")));
    assert_eq!(Reader::new(&[0xff; 6], true).string(), Err(Malformed("a number is too large")));
    assert_eq!(Reader::new(&[0x7f, 0xff, 0xff, 0xff], false).bytes(), Err(Malformed("it ends too early")));
    // Tagged fields of a newer program: their number, then each with its length.
    let mut tagged = Reader::new(&[2, 0, 1, b'x', 1, 0, 9], true);
    assert_eq!(
        (tagged.end(), tagged.array(Reader::i32)),
        (Ok(()), Err(Malformed("a list is longer than the answer")))
    );
}

#[test]
fn an_answer_that_is_too_large_or_none_is_refused() {
    let mut connection = connect(vec![knows(66), vec![0, 0, 0, 0]]);
    let error = connection.list_transactions(&[], &[]).unwrap_err();
    assert!(matches!(error, WireError::NoAnswer { api: "ListTransactions", .. }), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(&u32::MAX.to_be_bytes()).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let plain = Security::of(|_| None).ok().unwrap();
    let error = Connection::open("127.0.0.1", port, &plain, "test").err().unwrap().to_string();
    assert!(error.contains("4294967295 bytes"), "{error}");
}

#[test]
fn a_request_that_the_broker_does_not_know_is_not_sent() {
    let error = connect(vec![knows(66)]).describe_producers(&Topics::new()).unwrap_err().to_string();
    assert!(error.contains("does not know the request DescribeProducers (version 0)"), "{error}");
}

#[test]
fn a_broker_that_refuses_is_quoted() {
    // Throttled, code, unknown states, transactions, tags.
    let mut connection =
        connect(vec![knows(66), [vec![0], vec![0, 0, 0, 0], vec![0, 14], vec![1, 1, 0]].concat()]);
    let error = connection.list_transactions(&[], &[]).unwrap_err().to_string();
    assert!(
        error.contains("refuses ListTransactions") && error.contains("COORDINATOR_LOAD_IN_PROGRESS"),
        "{error}"
    );
}

#[test]
fn what_is_not_here_is_refused_by_name_before_anything_is_asked() {
    let refused = |properties: &[(&str, &'static str)]| {
        let property =
            |name: &str| properties.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Security::of(property).err().unwrap_or_default()
    };
    assert_eq!(refused(&[]), "");
    let sasl = ("security.protocol", "SASL_PLAINTEXT");
    let named = [("sasl.username", "u"), ("sasl.password", "hunter2")];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "scram-sha-512"] {
        assert_eq!(refused(&[sasl, named[0], named[1], ("sasl.mechanisms", mechanism)]), "");
    }
    let error = refused(&[sasl, named[0], named[1], ("sasl.mechanism", "OAUTHBEARER")]);
    assert!(
        error.contains("OAUTHBEARER") && error.contains("SCRAM-SHA-512") && !error.contains("hunter2"),
        "{error}"
    );
    assert!(refused(&[sasl, named[0], named[1]]).contains("GSSAPI"), "librdkafka's default");
    assert!(refused(&[sasl, named[0], ("sasl.mechanism", "PLAIN")]).contains("`sasl.password` is missing"));
    let tls = ("security.protocol", "ssl");
    assert!(refused(&[tls, ("ssl.keystore.location", "k.p12")]).contains("`ssl.keystore.location`"));
    assert!(refused(&[tls, ("enable.ssl.certificate.verification", "false")]).contains("is false"));
    assert!(refused(&[tls, ("ssl.ca.location", "/nowhere/ca.pem")]).contains("/nowhere/ca.pem"));
    assert!(refused(&[tls, ("ssl.ca.pem", "nothing")]).contains("it has no certificate"));
}
