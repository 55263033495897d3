//! Services that answer what a test case says, on this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{Router, http::StatusCode};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

use super::Failure;
use crate::config::{Override, TestAnswer, TestCase};

/// The services of one test case. They are gone when this is dropped.
pub struct StandIns {
    services: Vec<Service>,
    _runtime: Runtime,
}

struct Service {
    operator: String,
    address: SocketAddr,
    answers: usize,
    /// How often it was asked.
    asked: Arc<AtomicUsize>,
}

impl StandIns {
    /// Starts a service for each operator that the case has answers for.
    ///
    /// # Errors
    /// No thread or no port is to be had.
    pub fn start(case: &TestCase) -> Result<StandIns, Failure> {
        let failed = |error| Failure::Failed(format!("no service can stand in for a test case: {error}"));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
        let start = |(operator, answers): &(String, Vec<TestAnswer>)| {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            let (address, asked) = (listener.local_addr()?, Arc::<AtomicUsize>::default());
            runtime.spawn(axum::serve(listener, service(answers.clone(), asked.clone())).into_future());
            Ok(Service { operator: operator.clone(), address, answers: answers.len(), asked })
        };
        let services = case.answers.iter().map(start).collect::<Result<_, _>>().map_err(failed)?;
        Ok(StandIns { services, _runtime: runtime })
    }

    /// Settings that send the operators there.
    pub fn overrides(&self) -> Vec<Override> {
        let overrides = self.services.iter().map(|service| Override {
            path: format!("operators.{}.url", service.operator),
            value: format!("http://{}", service.address),
        });
        overrides.collect()
    }

    /// The services that were asked less often than they have answers, a sentence each.
    pub fn not_asked(&self) -> Vec<String> {
        let few = self.services.iter().filter(|service| service.asked.load(Relaxed) < service.answers);
        few.map(|Service { operator, answers, asked, .. }| {
            format!("answers.{operator}\n  expected  {answers} calls\n  but was   {}", asked.load(Relaxed))
        })
        .collect()
    }
}

/// Answers one call after another; the last answer is that of all further ones.
fn service(answers: Vec<TestAnswer>, asked: Arc<AtomicUsize>) -> Router {
    Router::new().fallback(move || async move {
        let number = asked.fetch_add(1, Relaxed);
        answers.get(number).or(answers.last()).map_or((StatusCode::OK, String::new()), |answer| {
            // It was checked when the file was read.
            (StatusCode::from_u16(answer.status).unwrap_or_default(), answer.body.clone())
        })
    })
}
