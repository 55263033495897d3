use proptest::prelude::*;

use super::*;
use crate::factorial::limb::{self, BASE};

fn random(limbs: usize, random: &mut fastrand::Rng) -> Vec<u64> {
    (0..limbs).map(|_| random.u64(1..BASE)).collect()
}

const GROUPS: [Group; 3] = [Group::Three, Group::Four, Group::Five];

/// Every instruction set and every size of groups against the school's method.
fn assert_product(a: &[u64], b: &[u64]) {
    let expected = limb::multiply_school(a, b);
    for isa in Isa::available() {
        for group in GROUPS {
            let Some(mut product) = multiply(isa, group, a, b) else { continue };
            trim(&mut product);
            let wrong = product.iter().zip(&expected).position(|(x, y)| x != y);
            assert_eq!(wrong, None, "{isa:?} {group:?}, {} by {} limbs", a.len(), b.len());
            assert_eq!(product.len(), expected.len(), "{isa:?} {group:?}, {} by {}", a.len(), b.len());
        }
    }
}

/// Every instruction set's school method against that without vectors.
fn assert_school(a: &[u64], b: &[u64]) {
    let mut expected = limb::multiply_school(a, b);
    trim(&mut expected);
    for isa in Isa::available() {
        let mut product = multiply_school(isa, a, b);
        trim(&mut product);
        assert!(product == expected, "{isa:?}, {} by {} limbs", a.len(), b.len());
    }
}

#[test]
fn the_schools_method_in_vectors_is_that_without() {
    let mut rng = fastrand::Rng::with_seed(10);
    let lengths = (1..70).chain([127, 128, 129, 255, 256, 257]);
    for length in lengths.filter(|length| !cfg!(miri) || [1, 9].contains(length)) {
        for other in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 100, 300, 1_000] {
            if cfg!(miri) && other > 33 {
                continue;
            }
            let largest = |limbs| vec![BASE - 1; limbs];
            assert_school(&random(length, &mut rng), &random(other, &mut rng));
            assert_school(&largest(length), &largest(other));
            assert_school(&random(length, &mut rng), &largest(other));
            assert_school(&[vec![0; length - 1], vec![1]].concat(), &largest(other));
        }
    }
}

#[test]
fn random_numbers_of_all_lengths_are_multiplied_as_by_hand() {
    let mut rng = fastrand::Rng::with_seed(7);
    let lengths = (1..100).chain([128, 200, 255, 256, 257, 341, 500, 700, 1_000, 1_500]);
    // Miri takes its time.
    for length in lengths.filter(|length| !cfg!(miri) || [1, 9].contains(length)) {
        let (a, b) = (random(length, &mut rng), random(rng.usize(1..=length), &mut rng));
        assert_product(&a, &b);
        assert_product(&a, &a);
    }
}

#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn long_numbers_have_the_same_product_with_groups_of_any_size() {
    let mut rng = fastrand::Rng::with_seed(8);
    for length in [3_000, 5_461, 8_000, 20_000] {
        let (a, b) = (random(length, &mut rng), random(length, &mut rng));
        let expected = multiply(Isa::Portable, Group::Three, &a, &b);
        for isa in Isa::available() {
            for group in GROUPS {
                let product = multiply(isa, group, &a, &b);
                assert!(
                    product.is_none_or(|product| Some(product) == expected),
                    "{isa:?} {group:?} {length}"
                );
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn a_number_times_words_is_the_product_by_hand() {
    let mut rng = fastrand::Rng::with_seed(9);
    for length in (0..40).chain([100, 1_000]) {
        for count in 0..6 {
            let words: Vec<u64> = (0..count).map(|_| rng.u64(1..=99_999_999_999_999)).collect();
            for number in [random(length, &mut rng), vec![BASE - 1; length]] {
                let mut expected = number.clone();
                words.iter().for_each(|word| multiply_word(&mut expected, *word));
                for isa in Isa::available() {
                    assert!(multiply_words(isa, &number, &words) == expected, "{isa:?} {length} {count}");
                }
            }
        }
    }
}

/// Numbers that are hard on carries and on rounding: all nines, a one and zeros, halves of the base, digits at random.
fn operand() -> impl Strategy<Value = Vec<u64>> {
    let length = prop_oneof![1_usize..40, 40_usize..300];
    prop_oneof![
        length.clone().prop_map(|length| vec![BASE - 1; length]),
        length.clone().prop_map(|length| [vec![0; length - 1], vec![1]].concat()),
        length.clone().prop_map(|length| vec![555_555_555_555_555; length]),
        length.clone().prop_map(|length| vec![500_005_000_050_000; length]),
        length.clone().prop_map(|length| vec![499_995_000_050_000; length]),
        length.prop_flat_map(|length| proptest::collection::vec(0..BASE, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn all_ways_to_multiply_agree(a in operand(), b in operand()) {
        let by_hand = |mut product: Vec<u64>| { trim(&mut product); product };
        let expected = by_hand(limb::multiply_school(&a, &b));
        let square = by_hand(limb::square_school(&a));
        prop_assert!(square == by_hand(limb::multiply_school(&a, &a)));
        for isa in Isa::available() {
            prop_assert!(by_hand(multiply_school(isa, &a, &b)) == expected, "{:?} by hand", isa);
            for group in GROUPS {
                if let Some(product) = multiply(isa, group, &a, &b) {
                    prop_assert!(by_hand(product) == expected, "{:?} {:?}", isa, group);
                }
                if let Some(product) = multiply(isa, group, &a, &a) {
                    prop_assert!(by_hand(product) == square, "{:?} {:?} squared", isa, group);
                }
            }
        }
        prop_assert!(crate::factorial::multiply::multiply(&a, &b) == expected);
    }
}

/// The largest operands that the bound lets through, with digits that are all as large as they can be and of one sign,
/// or of changing signs: products by the formula of all nines, (B^n - 1)^2 = B^2n - 2 B^n + 1.
#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn the_worst_operands_of_the_largest_length_are_exact() {
    for (group, digits) in [(Group::Five, 499_995_000_050_000_u64), (Group::Four, 500_050_005_000_500)] {
        let allowed = |length: &usize| {
            multiply(Isa::best(), group, &vec![digits; *length], &vec![digits; *length]).is_some()
        };
        // The largest length in steps of an eighth.
        let length = std::iter::successors(Some(64_usize), |length| Some(length + length / 8))
            .take_while(allowed)
            .last();
        let number = vec![digits; length.unwrap()];
        let expected = multiply(Isa::Portable, Group::Three, &number, &number);
        for isa in Isa::available() {
            assert!(multiply(isa, group, &number, &number) == expected, "{isa:?} {group:?} {length:?}");
        }
    }
    let nines = vec![BASE - 1; 50_000];
    for isa in Isa::available() {
        for group in GROUPS {
            let Some(square) = multiply(isa, group, &nines, &nines) else { continue };
            assert!(square[0] == 1 && square[1..50_000].iter().all(|limb| *limb == 0), "{isa:?} {group:?}");
            assert!(square[50_000] == BASE - 2 && square[50_001..].iter().all(|limb| *limb == BASE - 1));
        }
    }
}
