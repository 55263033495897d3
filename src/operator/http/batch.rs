//! Several records in one call: an array of what a program is given in lines, and an array of what it answers.

use bytes::Bytes;

use super::{
    super::{
        Call, OperatorError,
        error::quoted,
        line::{self, SERVICE},
        outside::bad_answer,
    },
    Answer, Http,
};

/// The answers that are there, by the place of their record.
type Answers = [Option<Answer>];

impl Http {
    /// Asks about some records at once: an answer for each. Where the service refuses them all, or what it answers is no answer, one of
    /// them may be to blame, so each is asked about alone.
    pub(super) async fn ask_all(&self, calls: &[Call]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = calls
            .iter()
            .map(|call| call.record.value.is_none().then(|| Ok(vec![call.record.clone()])))
            .collect();
        let all: Vec<usize> = (0..calls.len()).collect();
        match self.ask_together(calls, &all, &mut answers).await {
            Err(OperatorError::BadInput { .. }) if calls.len() > 1 => {
                for place in all {
                    let answered = self.ask_together(calls, &[place], &mut answers).await;
                    fill(&mut answers[place..=place], answered);
                }
            }
            answered => fill(&mut answers, answered),
        }
        answers.into_iter().flatten().collect()
    }

    /// Asks about the records at some places, where there is no answer yet.
    ///
    /// # Errors
    /// What becomes of them all.
    async fn ask_together(&self, calls: &[Call], places: &[usize], answers: &mut Answers) -> Answer {
        let mut body = vec![b'['];
        for place in places.iter().copied().filter(|place| answers[*place].is_none()).collect::<Vec<_>>() {
            match line::write(&mut body, place as u64, &calls[place], &self.formats.input) {
                Ok(()) => body.push(b','),
                Err(error) => answers[place] = Some(Err(error)),
            }
        }
        // The last comma, where there is any record.
        if body.pop() != Some(b',') {
            return Ok(Vec::new());
        }
        body.push(b']');
        let request = self.request(self.url.clone(), "application/json", body.into());
        // Without a body they are all dropped.
        let Some(body) = self.exchange(request).await? else { return Ok(Vec::new()) };
        self.take(&body, calls, answers)?;
        match places.iter().find(|place| answers[**place].is_none()) {
            Some(place) => Err(bad_answer(format!("{} has not answered about `id` {place}", self.service()))),
            None => Ok(Vec::new()),
        }
    }

    /// Takes what the service has answered.
    fn take(&self, body: &Bytes, calls: &[Call], answers: &mut Answers) -> Result<(), OperatorError> {
        let service = self.service();
        let parsed = serde_json::from_slice::<Vec<line::Answer<'_>>>(body).map_err(|error| {
            let said = quoted(body);
            bad_answer(format!(
                "{service} must answer an array of objects, each with the `id` of its record ({error}){said}"
            ))
        })?;
        for answer in parsed {
            let place = usize::try_from(answer.id).unwrap_or(usize::MAX);
            if let Some((open @ None, call)) = answers.get_mut(place).zip(calls.get(place)) {
                *open = Some(answer.records(call, &self.formats.output, &SERVICE));
            }
        }
        Ok(())
    }
}

/// What becomes of the records that have no answer.
fn fill(answers: &mut Answers, answer: Answer) {
    answers.iter_mut().filter(|open| open.is_none()).for_each(|open| *open = Some(answer.clone()));
}
