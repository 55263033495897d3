//! `pipeline serve`.

use std::{sync::Arc, time::Duration};

use clap::Args;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    brokers::find_broker_for_gateway,
    dead_letters::ServedLetters,
    file::{Overrides, load_gateway},
    signals::Signals,
};
use crate::{
    config::Gateway,
    gateway::{
        Desk, DeskHandle, Status,
        http::{DeadLetters, Large, Served, Server, Tables, router, trouble},
    },
    kafka::{Admin, CHANGELOG_TOMBSTONES, Following, GatewayClients, follow, settings},
    operator::Table,
    state::{Stores, state_folder},
    telemetry::{MetricsServer, RequestMetrics, announce, init_logging, install_metrics},
};

/// At a stop, the least time for clients to receive that there is no answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serve the workers' results over HTTP
///
/// `GET /factorial/10000` waits for the digits; a page for browsers is at `/`, and one for dead letters at `/dead-letters`. Any number of gateways that
/// serve the same file share the results' partitions. SIGINT or SIGTERM stops gracefully (not ready, finish
/// what is pending, leave the group); a second one stops at once.
#[derive(Args, Debug)]
pub struct Serve {
    /// The gateway: a file as given, in pipelines/, or built in
    #[arg(value_name = "FILE", default_value = "gateway.toml")]
    file: String,
    #[command(flatten)]
    overrides: Overrides,
}

impl Serve {
    /// Serves until it is stopped.
    ///
    /// # Errors
    /// No broker at the start, or an address that cannot be bound.
    pub fn run(self) -> Result<(), Failure> {
        let gateway = load_gateway(&self.file, &self.overrides)?;
        init_logging();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        let result = runtime.block_on(serve(gateway));
        // An unreachable broker must not keep a process from stopping.
        runtime.shutdown_background();
        result
    }
}

async fn serve(mut gateway: Gateway) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let gracefully = "not ready any more, finishing what is pending, leaving the group";
    let signals = Signals::catch().stop(stop.clone(), gracefully, "what was pending has no answer");
    let signals = tokio::spawn(signals);
    let _embedded = find_broker_for_gateway(&mut gateway).await?;
    let recorded = install_metrics().map_err(Failure::failed)?;
    let metrics = Arc::new(RequestMetrics::new(&gateway.name));
    let server = Server::bind(&gateway.http).await.map_err(Failure::failed)?;
    let admin = settings::of_gateway(&gateway);
    let admin = tokio::task::spawn_blocking(move || Admin::new(&admin)).await.map_err(Failure::failed)?;
    let admin = admin.map_err(Failure::failed)?;
    admin.ensure_gateway_topics(&gateway).await.map_err(Failure::failed)?;
    let (mut routes, mut clients) = (Vec::new(), Vec::new());
    let permits = Arc::new(Semaphore::new(gateway.in_flight));
    for route in &gateway.routes {
        let status = Arc::new(Status::default());
        let GatewayClients { requests, events, replies, pieces, under_way } =
            GatewayClients::start(&gateway, route, admin.is_embedded(), status.clone())
                .map_err(Failure::failed)?;
        let cache = gateway.cache / gateway.routes.len() as u64;
        let desk = Desk::new(
            route.values.clone(),
            route.correlation,
            cache,
            requests,
            status.clone(),
            metrics.clone(),
        );
        let desk = DeskHandle::start(desk, events, permits.clone(), status);
        let (timeout, batch) = (gateway.http.timeout, gateway.batch);
        let large = Large::new(pieces);
        routes.push(Arc::new(Served { route: route.clone(), desk, timeout, batch, large }));
        clients.push((replies, under_way));
    }
    let (listen, ready) = (gateway.metrics, routes.clone());
    let metrics_server =
        MetricsServer::start_with(listen.listen, listen.explicit, recorded, Vec::new(), move || {
            trouble(&ready)
        })
        .await
        .map_err(Failure::failed)?;
    announce(&summary(&gateway, &server));
    announce(&format!("metrics at http://{}/metrics, /healthz, /readyz", metrics_server.address()));
    let closed = CancellationToken::new();
    let (tables, following) = state(&gateway).await.map_err(Failure::failed)?;
    let letters = Arc::new(DeadLetters::new(&gateway, ServedLetters::of(&gateway), stop.clone()));
    let mut serving = tokio::spawn(server.serve(
        router(&gateway, routes.clone(), letters.clone(), tables),
        closed.clone(),
        gateway.shutdown_timeout,
    ));
    tokio::select! {
        () = stop.cancelled() => {}
        ended = &mut serving => return Err(Failure::failed(format!("HTTP is not served any more: {ended:?}"))),
    }
    let deadline = Instant::now() + gateway.shutdown_timeout;
    routes.iter().for_each(|served| served.desk.status().stop());
    // All permits are returned once no caller waits.
    let all = u32::try_from(gateway.in_flight).unwrap_or(u32::MAX);
    let pending = tokio::time::timeout_at(deadline, permits.acquire_many(all)).await.is_err();
    permits.close();
    routes.iter().for_each(|served| served.desk.end());
    closed.cancel();
    if tokio::time::timeout_at(deadline.max(Instant::now() + LAST_WORDS), serving).await.is_err() || pending {
        tracing::warn!("not all could be answered within {:?}", gateway.shutdown_timeout);
    }
    // One that is cut off leaves a transaction open, behind which nobody reads until the broker ends it.
    if tokio::time::timeout_at(deadline, letters.ended()).await.is_err() {
        tracing::warn!("a replay of dead letters did not end within {:?}", gateway.shutdown_timeout);
    }
    // Dropping each waits for its thread, which leaves the group.
    let left = tokio::task::spawn_blocking(move || {
        drop(clients);
        if let Some((stores, following)) = following {
            drop(following);
            if let Err(error) = stores.save() {
                tracing::warn!(error, "it will be read of the topics at the next start");
            }
        }
    });
    left.await.map_err(Failure::failed)?;
    signals.abort();
    Ok(())
}

/// What is followed, and where it is kept.
type Followed = Option<(Stores, Vec<Following>)>;

/// Follows the topics of which the gateway says the newest values.
async fn state(gateway: &Gateway) -> Result<(Tables, Followed), String> {
    let Some(state) = gateway.state.clone() else { return Ok((Tables::new(), None)) };
    let (name, mut config) = (format!("{}-state", gateway.name), settings::of_gateway(gateway));
    // It joins none, but librdkafka reads partitions only for somebody with a name.
    config.set("group.id", &name);
    let opened = tokio::task::spawn_blocking(move || {
        let folder = state.folder.map_or_else(state_folder, Ok)?;
        let stores = Stores::open(&folder, &name, state.memory, CHANGELOG_TOMBSTONES)?;
        let (mut tables, mut following) = (Tables::new(), Vec::new());
        for of in state.tables {
            let table = stores.table(&of.topic)?;
            following.push(follow(&config, &of.topic, table.clone(), |_| {})?);
            let table: Arc<dyn Table> = table;
            tables.push((of, table));
        }
        Ok((tables, Some((stores, following))))
    });
    opened.await.map_err(|error| error.to_string())?
}

fn summary(gateway: &Gateway, server: &Server) -> String {
    let routes: Vec<String> = gateway
        .routes
        .iter()
        .map(|route| format!("{} ({} -> {})", route.path, route.request.topic, route.result.topic))
        .collect();
    let servers = settings::of_gateway(gateway);
    format!(
        "{} at {}: {}, brokers {}",
        gateway.name,
        server.url(),
        routes.join(", "),
        servers.get("bootstrap.servers").unwrap_or_default()
    )
}
