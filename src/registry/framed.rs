//! Confluent's wire format: a zero, the schema's id in four bytes, and then the value.

use bytes::Bytes;

/// The first byte.
const MAGIC: u8 = 0;
/// The bytes in front of the value.
const HEAD: usize = 5;

/// The id of a value's schema, and what is behind it.
///
/// # Errors
/// It does not begin as it must.
pub fn unframed(bytes: &Bytes) -> Result<(u32, Bytes), String> {
    match bytes.first() {
        Some(&MAGIC) => {}
        Some(first) => {
            return Err(format!(
                "it does not begin with a schema's id: its first byte is {first}, and must be 0"
            ));
        }
        None => return Err("it is empty, and must begin with a schema's id".to_owned()),
    }
    match bytes.get(1..HEAD).and_then(|id| id.try_into().ok()) {
        Some(id) => Ok((u32::from_be_bytes(id), bytes.slice(HEAD..))),
        None => Err(format!("it has {} bytes, too few for a schema's id", bytes.len())),
    }
}

/// The beginning of a value of the schema with that id.
pub fn frame(id: u32) -> Vec<u8> {
    let mut head = Vec::with_capacity(64);
    head.push(MAGIC);
    head.extend_from_slice(&id.to_be_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stands_in_front() {
        let mut value = frame(258);
        value.push(7);
        assert_eq!(value, [0, 0, 0, 1, 2, 7]);
        assert_eq!(unframed(&value.into()), Ok((258, Bytes::from_static(&[7]))));
        assert_eq!(
            unframed(&"{}".into()),
            Err("it does not begin with a schema's id: its first byte is 123, and must be 0".to_owned())
        );
        assert_eq!(
            unframed(&Bytes::from_static(&[0, 0, 0, 1])),
            Err("it has 4 bytes, too few for a schema's id".to_owned())
        );
        assert!(unframed(&Bytes::new()).is_err());
    }
}
