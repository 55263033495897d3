//! SCRAM (RFC 5802, RFC 7677) as Kafka has it: without channel binding, and with names and passwords as they are, not prepared.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;

/// How many rounds a broker may ask for. RFC 7677 has 4,096 at least, Kafka 16,384 at most.
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;

/// Which hash it is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// One attempt to be let in.
pub struct Scram<'a> {
    hash: Hash,
    user: String,
    password: &'a str,
    nonce: String,
}

/// What a broker that knows the password says at the end.
pub struct Signature(Vec<u8>);

impl Signature {
    /// Whether that is it.
    pub fn is(&self, message: &[u8]) -> bool {
        let said = std::str::from_utf8(message).ok().and_then(|message| attribute(message, 'v'));
        let said = said.and_then(|value| BASE64.decode(value).ok());
        said.is_some_and(|said| said.ct_eq(&self.0).into())
    }
}

impl<'a> Scram<'a> {
    pub fn new(hash: Hash, user: &str, password: &'a str, nonce: String) -> Self {
        Scram { hash, user: user.replace('=', "=3D").replace(',', "=2C"), password, nonce }
    }

    fn bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    /// The message that shows that this user knows the password, and what the broker then has to show.
    ///
    /// # Errors
    /// What is wrong with the broker's message.
    pub fn answer(&self, challenge: &[u8]) -> Result<(String, Signature), String> {
        let wrong = |what: &str| format!("its SCRAM message {what}");
        let challenge = std::str::from_utf8(challenge).map_err(|_| wrong("is not UTF-8"))?;
        let part = |name| attribute(challenge, name).ok_or_else(|| wrong(&format!("has no `{name}=`")));
        let (nonce, salt, rounds) = (part('r')?, part('s')?, part('i')?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong("is about another attempt"));
        }
        let salt = BASE64.decode(salt).map_err(|_| wrong("has a salt that is not base64"))?;
        let rounds = rounds.parse().ok().filter(|rounds| ROUNDS.contains(rounds)).and_then(NonZeroU32::new);
        let rounds = rounds.ok_or_else(|| wrong(&format!("asks for rounds outside of {ROUNDS:?}")))?;

        let algorithm = self.hash.hmac();
        let mut salted = vec![0; algorithm.digest_algorithm().output_len()];
        pbkdf2::derive(self.hash.pbkdf2(), rounds, &salt, self.password.as_bytes(), &mut salted);
        let sign = |key: &[u8], message: &[u8]| hmac::sign(&hmac::Key::new(algorithm, key), message);
        // `biws` is `n,,`: no channel binding.
        let last = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{last}", self.bare());
        let client = sign(&salted, b"Client Key");
        let stored = digest::digest(algorithm.digest_algorithm(), client.as_ref());
        let signature = sign(stored.as_ref(), all.as_bytes());
        let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server = sign(&salted, b"Server Key");
        let expected = sign(server.as_ref(), all.as_bytes()).as_ref().to_vec();
        Ok((format!("{last},p={}", BASE64.encode(proof)), Signature(expected)))
    }
}

/// The value of an attribute such as `r=…`.
fn attribute(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_rfc_7677_says() {
        let scram = Scram::new(Hash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (proof, signature) = scram.answer(challenge.as_bytes()).unwrap();
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(signature.is(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!signature.is(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="));
        assert!(!signature.is(b"e=other-error"));
    }

    #[test]
    fn a_broker_that_asks_for_too_much_or_answers_somebody_else_is_refused() {
        let scram = Scram::new(Hash::Sha512, "a,b=c", "p", "mine".to_owned());
        assert_eq!(scram.first(), "n,,n=a=2Cb=3Dc,r=mine");
        let refused = |challenge: &str| scram.answer(challenge.as_bytes()).err().unwrap_or_default();
        for (challenge, part) in [
            ("r=mine1,s=AAAA,i=4000000000", "rounds"),
            ("r=mine1,s=AAAA,i=0", "rounds"),
            ("r=mine1,s=AAAA,i=1", "rounds"),
            ("r=mine,s=AAAA,i=4096", "another attempt"),
            ("r=other1,s=AAAA,i=4096", "another attempt"),
            ("r=mine1,s=A,i=4096", "not base64"),
            ("r=mine1,i=4096", "`s=`"),
            ("e=unknown-user", "`r=`"),
        ] {
            assert!(refused(challenge).contains(part), "{challenge}: {}", refused(challenge));
        }
    }
}
