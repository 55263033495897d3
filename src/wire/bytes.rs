//! Kafka's primitive types, written and read, in the older encoding and in the flexible one (KIP-482).

/// A message that is being written.
pub struct Writer {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Writer {
    pub fn new(flexible: bool) -> Self {
        Writer { bytes: Vec::new(), flexible }
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub fn i8(&mut self, value: i8) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// In the older encoding no string is longer than 32,767 bytes: only names go there, which are far shorter.
    pub fn string(&mut self, text: &str) {
        match self.flexible {
            true => self.varint(text.len() as u32 + 1),
            false => self.i16(text.len() as i16),
        }
        self.bytes.extend(text.as_bytes());
    }

    /// Bytes of the older encoding.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.i32(bytes.len() as i32);
        self.bytes.extend(bytes);
    }

    pub fn array<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Writer, &T)) {
        match self.flexible {
            true => self.varint(items.len() as u32 + 1),
            false => self.i32(items.len() as i32),
        }
        items.iter().for_each(|item| each(self, item));
    }

    /// The end of a structure, which has tagged fields in the flexible encoding: none of ours.
    pub fn end(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// What an answer lacks, or has and may not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

/// An answer that is being read.
pub struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8], flexible: bool) -> Self {
        Reader { rest, flexible }
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn i16(&mut self) -> Read<i16> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// `None` where the string is null.
    pub fn nullable(&mut self) -> Read<Option<String>> {
        let length = match self.flexible {
            true => self.varint()?.checked_sub(1),
            false => match self.i16()? {
                -1 => None,
                length => {
                    Some(u32::try_from(length).map_err(|_| Malformed("a string has a negative length"))?)
                }
            },
        };
        let Some(length) = length else { return Ok(None) };
        let text = std::str::from_utf8(self.take(length as usize)?);
        text.map(|text| Some(text.to_owned())).map_err(|_| Malformed("a string is not UTF-8"))
    }

    pub fn string(&mut self) -> Read<String> {
        self.nullable()?.ok_or(Malformed("a string is missing"))
    }

    /// Bytes of the older encoding.
    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.i32()?).map_err(|_| Malformed("bytes have a negative length"))?;
        self.take(length)
    }

    /// A list; none where it is null. Each item takes a byte at least, so no more are there than bytes.
    pub fn array<T>(&mut self, mut each: impl FnMut(&mut Reader<'a>) -> Read<T>) -> Read<Vec<T>> {
        let count = match self.flexible {
            true => self.varint()?.saturating_sub(1),
            false => match self.i32()? {
                -1 => 0,
                count => u32::try_from(count).map_err(|_| Malformed("a list has a negative length"))?,
            },
        };
        if count as usize > self.rest.len() {
            return Err(Malformed("a list is longer than the answer"));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(each(self)?);
        }
        Ok(items)
    }

    /// The end of a structure: leaves out the tagged fields of the flexible encoding, which only newer programs know.
    pub fn end(&mut self) -> Read<()> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let length = self.varint()?;
                self.take(length as usize)?;
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Read<u32> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| Malformed("a number is too large"));
            }
        }
        Err(Malformed("a number is too large"))
    }
}
