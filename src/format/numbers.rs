//! The factorial's numbers in formats with a schema: a record with `n`, and one with `n` and `result`.

use num_bigint::{BigInt, BigUint};

use super::error::ValueError;
use crate::{
    factorial::Decimal,
    value::{Fields, Value, Wanted},
};

/// What a result takes beside its digits and those of n, at most.
pub(super) const AROUND: u64 = 32;

/// What a request is looked into for.
pub(super) fn wanted(names: &[&str]) -> Wanted {
    let mut wanted = Wanted::Nothing;
    names.iter().for_each(|name| wanted.add(&[name]));
    wanted
}

/// The number that a request is, or that its field `n` has.
pub(super) fn of_request(value: &Value) -> Result<u64, ValueError> {
    let n = match value {
        Value::Map(fields) => fields.get("n").unwrap_or(&Value::Null),
        other => other,
    };
    let not = |what: &dyn std::fmt::Display| ValueError::NotANumber(what.to_string());
    match n {
        Value::Int(n) => u64::try_from(*n).map_err(|_| ValueError::Negative(n.to_string())),
        Value::UInt(n) => Ok(*n),
        Value::String(text) => super::text::decode_request(text.as_bytes()),
        Value::Json(text) => super::text::decode_request(text),
        Value::Null => Err(not(&"it has no `n`")),
        other => Err(not(&other.kind())),
    }
}

/// A request: the number alone, or in a record.
pub(super) fn request(n: u64, in_record: bool) -> Value {
    if in_record { Value::Map([("n", number(n))].into_iter().collect()) } else { number(n) }
}

fn number(n: u64) -> Value {
    i64::try_from(n).map_or(Value::UInt(n), Value::Int)
}

/// A result. Where it is a decimal of that precision and scale, it is not made text first.
pub(super) fn result(
    n: u64,
    result: &Decimal<'_>,
    decimal: Option<(usize, usize)>,
) -> Result<Value, ValueError> {
    let value = match decimal {
        None => Value::String(result.to_string().into()),
        Some((precision, scale)) => {
            let digits = result.digits() + scale as u64;
            if digits > precision as u64 {
                return Err(ValueError::Unwritable(format!(
                    "the result has {} digits, and the schema's decimal has room for {}",
                    result.digits(),
                    precision - scale
                )));
            }
            let scaled = result.to_biguint() * BigUint::from(10_u32).pow(scale as u32);
            Value::Bytes(BigInt::from(scaled).to_signed_bytes_be().into())
        }
    };
    Ok(Value::Map([("n", number(n)), ("result", value)].into_iter().collect::<Fields>()))
}

/// What a result is for, and its digits.
pub(super) fn of_result(value: &Value) -> Result<(u64, String), ValueError> {
    let not = || ValueError::NotAResult("it is no record with `n` and `result`".to_owned());
    let Value::Map(fields) = value else { return Err(not()) };
    let n = of_request(value).map_err(|_| not())?;
    let digits = match fields.get("result").ok_or_else(not)? {
        Value::String(text) => text.as_bytes().clone(),
        Value::Json(text) => text.clone(),
        Value::Int(n) => n.to_string().into(),
        Value::UInt(n) => n.to_string().into(),
        _ => return Err(not()),
    };
    let digits = match digits.split(|byte| *byte == b'.').collect::<Vec<_>>()[..] {
        [whole] => whole.to_vec(),
        // A decimal's fraction, which a factorial does not have.
        [whole, fraction] if fraction.iter().all(|digit| *digit == b'0') => whole.to_vec(),
        _ => return Err(not()),
    };
    Ok((n, super::text::digits(&digits).ok_or_else(not)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_field_n_or_the_value_itself() {
        let record = |n: Value| Value::Map([("n", n)].into_iter().collect());
        assert_eq!(of_request(&record(Value::Int(30))), Ok(30));
        assert_eq!(of_request(&record(Value::String("030".into()))), Ok(30));
        assert_eq!(of_request(&Value::Int(30)), Ok(30));
        assert_eq!(of_request(&record(Value::Int(-1))).unwrap_err().class(), "negative");
        assert_eq!(of_request(&record(Value::Float(1.0))).unwrap_err().class(), "not-a-number");
        assert_eq!(of_request(&Value::Map(Fields::default())).unwrap_err().class(), "not-a-number");
        assert_eq!(of_request(&record(Value::Json("30".into()))), Ok(30), "a decimal");
    }
}
