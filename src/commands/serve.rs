use std::sync::Arc;

use clap::Args;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    brokers::find_broker_for_gateway,
    file::{Overrides, load_gateway},
    signals::stop_on_signals,
};
use crate::{
    config::Gateway,
    gateway::{
        Asker, Desk, Status,
        http::{Served, Server, router},
    },
    kafka::{Admin, GatewayClients, settings},
    telemetry::{MetricsServer, RequestMetrics, announce, init_logging, install_metrics},
};

/// Answer over HTTP what workers compute
///
/// `GET /factorial/10000` waits for the digits; a page for people is at `/`. Any number of gateways that serve the
/// same file share the results' partitions. SIGINT or SIGTERM once stops gracefully (not ready, finish what is
/// pending, leave the group), twice at once.
#[derive(Args, Debug)]
pub struct Serve {
    /// The gateway: a file as given, in pipelines/, or built in
    #[arg(value_name = "FILE", default_value = "gateway.toml")]
    file: String,
}

impl Serve {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// No broker at the start, or an address that cannot be had.
    pub fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let gateway = load_gateway(&self.file, overrides)?;
        init_logging();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        let result = runtime.block_on(serve(gateway));
        // A broker that is gone must not keep a process that was told to stop.
        runtime.shutdown_background();
        result
    }
}

async fn serve(mut gateway: Gateway) -> Result<(), Failure> {
    let _embedded = find_broker_for_gateway(&mut gateway).await?;
    let handle = install_metrics().map_err(Failure::failed)?;
    let metrics = Arc::new(RequestMetrics::new(&gateway.name));
    let server = Server::bind(&gateway.http).await.map_err(Failure::failed)?;
    let listen = gateway.metrics;
    let metrics_server = MetricsServer::start(listen.listen, listen.explicit, handle, Vec::new())
        .await
        .map_err(Failure::failed)?;
    let admin = settings::of_gateway(&gateway);
    let admin = tokio::task::spawn_blocking(move || Admin::new(&admin)).await.map_err(Failure::failed)?;
    let admin = admin.map_err(Failure::failed)?;
    admin.ensure_gateway_topics(&gateway).await.map_err(Failure::failed)?;
    let (mut routes, mut clients) = (Vec::new(), Vec::new());
    let room = Arc::new(Semaphore::new(gateway.in_flight));
    for route in &gateway.routes {
        let status = Arc::new(Status::default());
        let GatewayClients { requests, events, replies } =
            GatewayClients::start(&gateway, route, admin.is_embedded(), status.clone())
                .map_err(Failure::failed)?;
        let cache = gateway.cache / gateway.routes.len() as u64;
        let desk =
            Desk::new(route.values, route.correlation, cache, requests, status.clone(), metrics.clone());
        let asker = Asker::start(desk, events, room.clone(), status);
        routes.push(Arc::new(Served { route: route.clone(), asker, timeout: gateway.http.timeout }));
        clients.push(replies);
    }
    announce(&summary(&gateway, &server));
    announce(&format!("metrics at http://{}/metrics, /healthz, /readyz", metrics_server.address()));
    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signals(
        stop.clone(),
        "not ready any more, finishing what is pending, leaving the group",
        "what was pending has no answer",
    ));
    let serving =
        tokio::spawn(server.serve(router(&gateway, routes.clone()), stop.clone(), gateway.shutdown_timeout));
    stop.cancelled().await;
    let deadline = Instant::now() + gateway.shutdown_timeout;
    routes.iter().for_each(|served| served.asker.status().stop());
    let stopped = tokio::time::timeout_at(deadline, serving).await;
    routes.iter().for_each(|served| served.asker.end());
    // Each waits for its thread, which leaves the group.
    let left = tokio::task::spawn_blocking(move || drop(clients));
    left.await.map_err(Failure::failed)?;
    signals.abort();
    match stopped {
        Ok(Err(error)) => Err(Failure::failed(format!("HTTP was not served any more: {error}"))),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

fn summary(gateway: &Gateway, server: &Server) -> String {
    let routes: Vec<String> = gateway
        .routes
        .iter()
        .map(|route| format!("{} ({} -> {})", route.path, route.request.topic, route.result.topic))
        .collect();
    let servers = settings::of_gateway(gateway);
    format!(
        "{} at http://{}: {}, brokers {}",
        gateway.name,
        server.address(),
        routes.join(", "),
        servers.get("bootstrap.servers").unwrap_or_default()
    )
}
