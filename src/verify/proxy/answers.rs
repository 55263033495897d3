//! Answers made instead of the broker's (Kafka protocol guide: Produce 3 to 12, SaslAuthenticate 0 to 2).

use super::api::{Api, Head};

/// The answer, with its size, that refuses a request (given without its size); `None` if none can be made.
pub(super) fn refusal(head: Head, request: &[u8], error: i16) -> Option<Vec<u8>> {
    let body = match head.api? {
        Api::Produce => produce(head, request, error)?,
        Api::SaslAuthenticate => sasl(head, error)?,
        _ => return None,
    };
    let mut answer = ((body.len() + 4) as u32).to_be_bytes().to_vec();
    answer.extend(head.correlation.to_be_bytes());
    answer.extend(body);
    Some(answer)
}

fn sasl(head: Head, error: i16) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let flexible = match head.version {
        0..=1 => false,
        2 => true,
        _ => return None,
    };
    if flexible {
        body.push(0);
    }
    body.extend(error.to_be_bytes());
    match flexible {
        // No message, no bytes.
        true => body.extend([0, 1]),
        false => body.extend([0xff, 0xff, 0, 0, 0, 0]),
    }
    if head.version >= 1 {
        body.extend(0_i64.to_be_bytes());
    }
    if flexible {
        body.push(0);
    }
    Some(body)
}

/// The same error for each partition that the request names.
fn produce(head: Head, request: &[u8], error: i16) -> Option<Vec<u8>> {
    if !(3..=12).contains(&head.version) {
        return None;
    }
    let flexible = head.version >= 9;
    let mut from = Reader { rest: request.get(Head::SIZE..)?, flexible };
    // The client id is in the old form in every version.
    let client = from.i16()?;
    from.skip(usize::try_from(client.max(0)).ok()?)?;
    from.tags()?;
    from.string()?; // transactional id
    from.skip(2 + 4)?; // acks, time-out
    let mut to = Writer { bytes: Vec::new(), flexible };
    to.tags();
    let topics = from.count()?;
    to.count(topics);
    for _ in 0..topics {
        to.string(from.string()?);
        let partitions = from.count()?;
        to.count(partitions);
        for _ in 0..partitions {
            to.bytes.extend(from.i32()?.to_be_bytes());
            from.bytes()?;
            from.tags()?;
            to.bytes.extend(error.to_be_bytes());
            // Offset and time of the append.
            to.bytes.extend((-1_i64).to_be_bytes());
            to.bytes.extend((-1_i64).to_be_bytes());
            if head.version >= 5 {
                to.bytes.extend((-1_i64).to_be_bytes());
            }
            if head.version >= 8 {
                to.count(0);
                to.bytes.extend(if flexible { &[0][..] } else { &[0xff, 0xff] });
            }
            to.tags();
        }
        from.tags()?;
        to.tags();
    }
    to.bytes.extend(0_i32.to_be_bytes()); // throttled for
    to.tags();
    Some(to.bytes)
}

/// Reads a request's fields; never trusts a size.
struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, size: usize) -> Option<&'a [u8]> {
        let (skipped, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(skipped)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.skip(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.skip(4)?.try_into().ok()?))
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for shift in (0..35).step_by(7) {
            let byte = self.skip(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// An array's length; 0 for a null one.
    fn count(&mut self) -> Option<usize> {
        match self.flexible {
            true => Some(self.varint()?.saturating_sub(1)),
            false => Some(usize::try_from(self.i32()?.max(0)).ok()?),
        }
    }

    /// A string; empty for a null one.
    fn string(&mut self) -> Option<&'a [u8]> {
        let size = match self.flexible {
            true => self.varint()?.saturating_sub(1),
            false => usize::try_from(self.i16()?.max(0)).ok()?,
        };
        self.skip(size)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.count()?;
        self.skip(size)
    }

    fn tags(&mut self) -> Option<()> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let size = self.varint()?;
                self.skip(size)?;
            }
        }
        Some(())
    }
}

struct Writer {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Writer {
    fn varint(&mut self, mut value: usize) {
        while value > 0x7f {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn count(&mut self, count: usize) {
        match self.flexible {
            true => self.varint(count + 1),
            false => self.bytes.extend((count as i32).to_be_bytes()),
        }
    }

    fn string(&mut self, text: &[u8]) {
        match self.flexible {
            true => self.varint(text.len() + 1),
            false => self.bytes.extend((text.len() as i16).to_be_bytes()),
        }
        self.bytes.extend(text);
    }

    fn tags(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }
}
