//! Small factorials, one word after the other: the words are made when this is compiled.

use super::{
    fft::{Isa, LARGEST_WORD, multiply_words},
    limb::{BASE, divide},
};

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
pub const LARGEST: u32 = 2_500;

/// Factors of neighbours, as many as a word holds.
#[derive(Clone, Copy)]
struct Word {
    /// The last factor.
    last: u32,
    product: u64,
    /// How many factors of two, up to and with this word, were taken out and found no five yet.
    twos: u32,
}

const COUNT: usize = 640;

static WORDS: [Word; COUNT] = {
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
        // Never more than will be needed: the fives up to 2,500 find theirs among six twos ahead.
        while factor.is_multiple_of(2) && self.twos < 6 {
            (factor, self.twos) = (factor / 2, self.twos + 1);
        }
        self.product *= factor as u64;
        if self.product < LARGEST_WORD { Some(self) } else { None }
    }
}

/// The words' products alone.
static PRODUCTS: [u64; COUNT] = {
    let mut products = [0; COUNT];
    let mut index = 0;
    while index < COUNT {
        products[index] = WORDS[index].product;
        index += 1;
    }
    products
};

/// n! without its factors of ten, for n up to [`LARGEST`].
pub fn factorial(n: u32) -> Vec<u64> {
    let whole = WORDS.iter().step_by(16).take_while(|word| word.last <= n).count().saturating_sub(1) * 16;
    let whole = whole + WORDS[whole..].iter().take_while(|word| word.last <= n).count();
    let none = Word { last: 0, product: 1, twos: 0 };
    let mut word = whole.checked_sub(1).map_or(none, |last| Word { product: 1, ..WORDS[last] });
    while word.last < n {
        // A part of a word that is not full either.
        let Some(next) = word.times(word.last + 1) else { break };
        word = next;
    }
    // The twos that found no five.
    let (upper, lower) = divide(u128::from(word.product) << word.twos);
    let number = [lower, upper];
    multiply_words(Isa::best(), &number[..1 + usize::from(upper > 0)], &PRODUCTS[..whole])
}
