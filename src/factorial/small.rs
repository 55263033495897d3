//! Small factorials, one word after the other: the words are made when this is compiled.

use super::limb::{BASE, multiply_word};

/// The factorials of one limb or two, without their factors of ten, for n below this.
const TABLE_END: usize = 34;

static TABLE: [[u64; 2]; TABLE_END] = {
    let mut table = [[1, 0]; TABLE_END];
    let (mut n, mut number) = (1, 1_u128);
    while n < TABLE_END {
        number *= n as u128;
        while number.is_multiple_of(10) {
            number /= 10;
        }
        assert!(number < BASE as u128 * BASE as u128, "two limbs");
        table[n] = [(number % BASE as u128) as u64, (number / BASE as u128) as u64];
        n += 1;
    }
    table
};

/// n! without its factors of ten, where it is known before.
pub fn known(n: u32) -> Option<&'static [u64]> {
    let limbs = TABLE.get(n as usize)?;
    Some(if limbs[1] == 0 { &limbs[..1] } else { limbs })
}

/// The largest n for which there are words.
pub const LARGEST: u32 = 600;

/// Factors of neighbours, as many as a limb holds.
#[derive(Clone, Copy)]
struct Word {
    /// The last factor.
    last: u32,
    product: u64,
    /// How many factors of two, up to and with this word, were taken out and found no five yet.
    twos: u32,
}

const COUNT: usize = 128;

const WORDS: [Word; COUNT] = {
    let mut words = [Word { last: 0, product: 1, twos: 0 }; COUNT];
    let (mut index, mut factor) = (0, 1);
    while index < COUNT {
        let mut word =
            Word { last: factor - 1, product: 1, twos: if index == 0 { 0 } else { words[index - 1].twos } };
        while let Some(next) = word.times(factor) {
            word = next;
            factor += 1;
        }
        words[index] = word;
        index += 1;
    }
    assert!(words[COUNT - 1].last >= LARGEST, "the words go up to the largest n");
    words
};

impl Word {
    /// With one more factor, unless it is full. Each five takes a two along, which becomes a zero at the end; the twos
    /// for it were taken out before.
    const fn times(mut self, mut factor: u32) -> Option<Word> {
        self.last = factor;
        while factor.is_multiple_of(5) {
            (factor, self.twos) = (factor / 5, self.twos - 1);
        }
        // Never more than will be needed: the fives up to 600 find theirs among six twos ahead.
        while factor.is_multiple_of(2) && self.twos < 6 {
            (factor, self.twos) = (factor / 2, self.twos + 1);
        }
        self.product *= factor as u64;
        if self.product < BASE { Some(self) } else { None }
    }
}

/// n! without its factors of ten, for n up to [`LARGEST`].
pub fn factorial(n: u32) -> Vec<u64> {
    let mut number = Vec::with_capacity(n as usize / 5 + 2);
    number.push(1);
    let mut word = Word { last: 0, product: 1, twos: 0 };
    for whole in WORDS.iter().take_while(|word| word.last <= n) {
        multiply_word(&mut number, whole.product);
        word = Word { product: 1, ..*whole };
    }
    while word.last < n {
        // A part of a word that is not full either.
        let Some(next) = word.times(word.last + 1) else { break };
        word = next;
    }
    if word.product > 1 || word.twos > 0 {
        multiply_word(&mut number, word.product);
        multiply_word(&mut number, 1 << word.twos);
    }
    number
}
