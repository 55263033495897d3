//! What is done to the orders, and the pipeline's file that does it.

#[derive(Clone, Copy, PartialEq)]
pub enum Job {
    /// Those above an amount go on as they are.
    Filter,
    /// One field more, one less.
    Map,
    JsonToAvro,
    AvroToJson,
    /// Large ones go to a topic of their own.
    OneRoute,
    /// Large ones, and those of two cities.
    ThreeRoutes,
}

/// The topic that is read, and how those that are written begin.
pub struct Topics {
    pub from: String,
    pub to: String,
}

impl Topics {
    pub fn written(&self, job: Job) -> Vec<String> {
        let routes: &[&str] = match job {
            Job::OneRoute => &["-large"],
            Job::ThreeRoutes => &["-large", "-ulm", "-rennes"],
            _ => &[],
        };
        let to = std::iter::once(self.to.clone());
        to.chain(routes.iter().map(|route| format!("{}{route}", self.to))).collect()
    }
}

impl Job {
    pub const ALL: [Job; 6] =
        [Job::Filter, Job::Map, Job::JsonToAvro, Job::AvroToJson, Job::OneRoute, Job::ThreeRoutes];

    pub fn name(self) -> &'static str {
        match self {
            Job::Filter => "filter",
            Job::Map => "map",
            Job::JsonToAvro => "json-to-avro",
            Job::AvroToJson => "avro-to-json",
            Job::OneRoute => "one-route",
            Job::ThreeRoutes => "three-routes",
        }
    }

    pub fn named(name: &str) -> Job {
        Job::ALL.into_iter().find(|job| job.name() == name).expect("a job")
    }

    pub fn reads_avro(self) -> bool {
        self == Job::AvroToJson
    }

    pub fn writes_avro(self) -> bool {
        self == Job::JsonToAvro
    }

    pub fn file(self, servers: &str, guarantee: &str, topics: &Topics) -> String {
        let Topics { from, to } = topics;
        let side =
            |avro| if avro { "format = \"avro\"\navro.schema = \"order.avsc\"" } else { "format = \"json\"" };
        let (source, sink) = (side(self.reads_avro()), side(self.writes_avro()));
        let between = match self {
            Job::Filter => "[operators.filter]\nwhen = 'value.amount > 100'".to_owned(),
            Job::Map => {
                "[operators.map]\nset.total = 'value.amount * value.count'\nremove = ['card']".to_owned()
            }
            Job::JsonToAvro | Job::AvroToJson => String::new(),
            Job::OneRoute => route("value.amount >= 150", to, "large"),
            Job::ThreeRoutes => [
                route("value.amount >= 150", to, "large"),
                route("value.to.city == 'Ulm'", to, "ulm"),
                route("value.to.city == 'Rennes'", to, "rennes"),
            ]
            .concat(),
        };
        format!(
            "name = \"{to}\"\nguarantee = \"{guarantee}\"\n\
             [kafka]\nbootstrap.servers = \"{servers}\"\n\
             [source]\ntopic = \"{from}\"\n{source}\n\
             {between}\n\
             [sink]\ntopic = \"{to}\"\n{sink}\n"
        )
    }
}

fn route(when: &str, to: &str, name: &str) -> String {
    format!("[[routes]]\nwhen = \"{when}\"\ntopic = \"{to}-{name}\"\n")
}
