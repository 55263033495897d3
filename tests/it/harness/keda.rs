//! KEDA's side of an external scaler: asks by gRPC over HTTP/2, with the messages of its own file.

use std::time::Duration;

use bytes::Buf;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tokio::runtime::Runtime;
use tonic::{
    Request, Status, Streaming,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A client with one connection.
pub struct Keda {
    runtime: Runtime,
    client: Grpc<Client<HttpConnector, Body>>,
    files: DescriptorPool,
}

impl Keda {
    /// Of the scaler at that address. Nothing is sent yet.
    pub fn of(address: &str) -> Keda {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let client = Grpc::with_origin(http, format!("http://{address}").parse().unwrap());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scale/external");
        let files = protox::compile(["externalscaler.proto"], [folder]).unwrap();
        Keda { runtime, client, files: DescriptorPool::from_file_descriptor_set(files).unwrap() }
    }

    /// The answer of a method, in Protobuf's text format. The question is in that too.
    pub fn ask(&self, method: &str, question: &str) -> Result<String, Status> {
        self.runtime.block_on(async {
            let (method, mut client) = (self.method(method), self.client.clone());
            client.ready().await.unwrap();
            let question = DynamicMessage::parse_text_format(method.input(), question).unwrap();
            let answer = client.unary(Request::new(question), path(&method), Answers(method.output()));
            tokio::time::timeout(LIMIT, answer).await.unwrap().map(|answer| answer.into_inner().to_string())
        })
    }

    /// What `StreamIsActive` tells, from now on.
    pub fn activity(&self) -> Activity<'_> {
        self.runtime.block_on(async {
            let (method, mut client) = (self.method("StreamIsActive"), self.client.clone());
            client.ready().await.unwrap();
            let question = Request::new(DynamicMessage::new(method.input()));
            let told = client.server_streaming(question, path(&method), Answers(method.output()));
            Activity { keda: self, told: told.await.unwrap().into_inner() }
        })
    }

    /// The answer to a question that never comes to its end.
    pub fn ask_without_end(&self, method: &str) -> Result<String, Status> {
        self.runtime.block_on(async {
            let (method, mut client) = (self.method(method), self.client.clone());
            client.ready().await.unwrap();
            let question = Request::new(tokio_stream::pending());
            let answer = client.client_streaming(question, path(&method), Answers(method.output()));
            tokio::time::timeout(LIMIT, answer).await.unwrap().map(|answer| answer.into_inner().to_string())
        })
    }

    fn method(&self, name: &str) -> MethodDescriptor {
        let service = self.files.get_service_by_name("externalscaler.ExternalScaler").unwrap();
        service.methods().find(|method| method.name() == name).unwrap()
    }
}

/// An answer without end.
pub struct Activity<'a> {
    keda: &'a Keda,
    told: Streaming<DynamicMessage>,
}

impl Activity<'_> {
    /// What is told next.
    pub fn next(&mut self) -> bool {
        let runtime = &self.keda.runtime;
        let next = runtime.block_on(async { tokio::time::timeout(LIMIT, self.told.message()).await });
        let next = next.expect("nothing is told").unwrap().expect("it is told more");
        next.get_field_by_name("result").unwrap().as_bool().unwrap()
    }
}

fn path(method: &MethodDescriptor) -> http::uri::PathAndQuery {
    format!("/{}/{}", method.parent_service().full_name(), method.name()).parse().unwrap()
}

/// Writes questions, and reads answers of that type.
struct Answers(MessageDescriptor);

impl Codec for Answers {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Questions;
    type Decoder = Answers;

    fn encoder(&mut self) -> Questions {
        Questions
    }

    fn decoder(&mut self) -> Answers {
        Answers(self.0.clone())
    }
}

struct Questions;

impl Encoder for Questions {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, question: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        question.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Answers {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        DynamicMessage::decode(self.0.clone(), bytes)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
