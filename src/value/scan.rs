//! Goes through JSON text once, without making anything of it.
//!
//! It knows what plain JSON looks like and gives up ([`None`]) at anything else: at what is wrong, of which the parser says what
//! it is, and at what is rare, such as a name with an escape in it or a hundred levels of brackets. So it may be short and fast, and
//! whatever it accepts the parser would accept too.

/// How deep brackets may be nested in what is skipped: one bit each says which they are.
const DEEPEST: u32 = 128;

/// A place in a text.
#[derive(Clone)]
pub struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Scan<'t> {
    /// At the beginning.
    pub fn new(text: &'t [u8]) -> Self {
        Scan { text, at: 0 }
    }

    /// Goes on to what is no blank, and says what it is; 0 at the end.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        match self.text.get(self.at) {
            Some(byte) if *byte > b' ' => *byte,
            _ => self.peek_far(),
        }
    }

    #[cold]
    fn peek_far(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    /// Whether only blanks are left.
    pub fn is_at_end(&mut self) -> bool {
        self.peek() == 0 && self.at == self.text.len()
    }

    /// Goes through an object that begins here, and has `field` go through each value, whose name is given.
    pub fn object(&mut self, mut field: impl FnMut(&mut Self, &'t [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek() == b'}' {
            return self.expect(b'}');
        }
        loop {
            let name = self.name()?;
            self.peek();
            field(self, name)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.expect(b'}'),
            }
        }
    }

    /// Goes through an array that begins here, and has `item` go through each value.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek() == b']' {
            return self.expect(b']');
        }
        loop {
            item(self)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.expect(b']'),
            }
        }
    }

    /// Where the next value begins, for [`since`](Scan::since).
    pub fn begin(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The text from there to here.
    pub fn since(&self, begin: usize) -> Option<&'t str> {
        std::str::from_utf8(&self.text[begin..self.at]).ok()
    }

    /// Goes through the value that begins here.
    pub fn skip(&mut self) -> Option<()> {
        // The lowest bit says whether the innermost bracket is an object's.
        let (mut objects, mut depth) = (0_u128, 0);
        loop {
            match self.peek() {
                b'"' => drop(self.string()?),
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                open @ (b'{' | b'[') => {
                    let object = open == b'{';
                    self.at += 1;
                    if self.peek() == if object { b'}' } else { b']' } {
                        self.at += 1;
                    } else if depth == DEEPEST {
                        return None;
                    } else {
                        (objects, depth) = (objects << 1 | u128::from(object), depth + 1);
                        if object {
                            self.skip_name()?;
                        }
                        continue;
                    }
                }
                _ => return None,
            }
            // A value has ended: what it is in goes on, or ends too.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let object = objects & 1 == 1;
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        if object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                self.at += 1;
                (objects, depth) = (objects >> 1, depth - 1);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// A name and its colon.
    fn skip_name(&mut self) -> Option<()> {
        if self.peek() != b'"' {
            return None;
        }
        self.string()?;
        self.expect(b':')
    }

    /// The same, for a name that is compared: it is UTF-8, and stands there as it is.
    fn name(&mut self) -> Option<&'t [u8]> {
        if self.peek() != b'"' {
            return None;
        }
        let begin = self.at + 1;
        let is_ascii = self.string()?;
        let name = &self.text[begin..self.at - 1];
        if !is_ascii && (std::str::from_utf8(name).is_err() || name.contains(&b'\\')) {
            return None;
        }
        self.expect(b':')?;
        Some(name)
    }

    /// A string. Says whether it is ASCII without escapes; `false` where that is not known.
    fn string(&mut self) -> Option<bool> {
        self.at += 1;
        let mut is_ascii = true;
        loop {
            is_ascii &= self.plain();
            match self.text.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(is_ascii);
                }
                b'\\' => {
                    is_ascii = false;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let digits = match self.text.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 0,
            b'u' => 4,
            _ => return None,
        };
        self.at += 2;
        let is_hex = self.text.get(self.at..self.at + digits)?.iter().all(u8::is_ascii_hexdigit);
        is_hex.then(|| self.at += digits)
    }

    /// Goes over the plain bytes of a string: up to a quotation mark, a backslash or a control character. Eight at a time, as most
    /// of a text is strings. Says whether all of the bytes that it saw are ASCII.
    fn plain(&mut self) -> bool {
        const ONES: u64 = u64::MAX / 255;
        const HIGH: u64 = ONES << 7;
        // Marks the bytes below a limit. The lowest mark is right; those above it may come from its carry.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
        let mut seen = 0;
        while let Some(eight) = self.text.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*eight);
            seen |= word;
            let quote = below(word ^ (ONES * u64::from(b'"')), 1);
            let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
            let special = (below(word, 0x20) | quote | backslash) & HIGH;
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return seen & HIGH == 0;
            }
            self.at += 8;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| **byte >= 0x20 && !matches!(byte, b'"' | b'\\')).count();
        false
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.text[self.at] == b'-');
        match self.text.get(self.at)? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }
}
