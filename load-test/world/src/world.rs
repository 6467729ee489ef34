//! The world of one seed: people, places to advertise, traffic, law. Invariant: everything is a function of the seed,
//! the population and the mix; nothing is remembered between calls.

use crate::auction::Rivals;
use crate::law::Law;
use crate::profile::WorldProfile;
use crate::random::{Random, Stream};
use crate::sites::Properties;
use crate::traffic::{self, ImpTruth, Mix, Truth, Visit};
use crate::user::User;
use crate::wire;

/// Users of the demo population.
pub const POPULATION: u64 = 100_000;

#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
    population: u64,
    /// Coprime to the population, so that walking in this step meets everybody once.
    step: u64,
    mix: Mix,
    properties: Properties,
}

impl World {
    pub fn new(seed: u64) -> World {
        World::with(seed, POPULATION, Mix::default())
    }

    /// `population`: users 0..population have profiles; at least one.
    pub fn with(seed: u64, population: u64, mix: Mix) -> World {
        let population = population.max(1);
        World {
            seed,
            population,
            step: coprime_step(population),
            mix,
            properties: Properties::draw(seed),
        }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn population(&self) -> u64 {
        self.population
    }

    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Any index has a user; those from the population on are strangers to every store.
    pub fn user(&self, index: u64) -> User {
        User::draw(self.seed, index)
    }

    /// What is known of a user on a day (days since 1970-01-01).
    pub fn profile(&self, index: u64, now_day: i32) -> WorldProfile {
        WorldProfile::observe(self.seed, &self.user(index), now_day)
    }

    /// Appends [`World::profile`] as one JSON object, without a line end.
    pub fn profile_json(&self, index: u64, now_day: i32, out: &mut String) {
        self.profile(index, now_day).write_json(out);
    }

    /// Who asks for what in request `number` at a time (milliseconds since 1970-01-01).
    pub fn truth(&self, number: u64, time_ms: i64) -> Truth {
        let random = &mut Random::new(self.seed, Stream::Request, number);
        let in_population = random.chance(self.mix.known);
        let index = if in_population {
            self.visitor(random)
        } else {
            self.stranger(random)
        };
        traffic::draw(
            &self.properties,
            &self.mix,
            self.user(index),
            in_population,
            time_ms,
            random,
        )
    }

    /// Everybody in the population, in the order of their index.
    pub fn people(&self) -> Vec<User> {
        (0..self.population).map(|index| self.user(index)).collect()
    }

    /// Visit `number` at a time, by one of [`people`](World::people): as common as in requests, at a tenth of the price.
    pub fn visit(&self, number: u64, time_ms: i64, people: &[User]) -> Visit {
        let random = &mut Random::new(self.seed, Stream::Request, number);
        let person = self.visitor(random) as usize % people.len();
        let who = (person, &people[person]);
        traffic::draw_visit(&self.properties, &self.mix, who, time_ms, random)
    }

    /// Appends the request as one JSON object, without a line end.
    pub fn write_request(&self, truth: &Truth, out: &mut String) {
        wire::write_request(truth, self.properties.get(truth.property), out);
    }

    /// [`World::truth`] and [`World::write_request`] in one.
    pub fn request(&self, number: u64, time_ms: i64, out: &mut String) -> Truth {
        let truth = self.truth(number, time_ms);
        self.write_request(&truth, out);
        truth
    }

    pub fn law(&self) -> Law {
        Law::new(self.seed)
    }

    /// What the others bid on an imp of request `number`.
    pub fn rivals(&self, number: u64, truth: &Truth, imp: usize) -> Rivals {
        self.rivals_on(number, imp, &truth.user, &truth.imps[imp])
    }

    /// What the others bid for `user` on `wanted`, imp `imp` of request or visit `number`.
    pub fn rivals_on(&self, number: u64, imp: usize, user: &User, wanted: &ImpTruth) -> Rivals {
        // Up to 16 imps a request.
        let random = &mut Random::new(self.seed, Stream::Rivals, number << 4 | (imp as u64 & 15));
        Rivals::draw(user, &wanted.context, wanted.format, random)
    }

    /// The dice that decide what comes of an impression: of request `number`, imp `imp`.
    pub fn outcome_dice(&self, number: u64, imp: usize) -> Random {
        Random::new(self.seed, Stream::Outcome, number << 4 | (imp as u64 & 15))
    }

    /// Some visit far more often than others: the busiest tenth makes a quarter of the traffic.
    fn visitor(&self, random: &mut Random) -> u64 {
        let rank = (random.unit().powf(1.7) * self.population as f64) as u64;
        let place = u128::from(rank.min(self.population - 1)) * u128::from(self.step);
        (place % u128::from(self.population)) as u64
    }

    fn stranger(&self, random: &mut Random) -> u64 {
        self.population + random.below(self.population.saturating_mul(10))
    }
}

/// Near the golden section of `n`.
fn coprime_step(n: u64) -> u64 {
    let near = (n as f64 * 0.618_033_988_749_895) as u64;
    (near.max(1)..)
        .find(|step| gcd(*step, n) == 1)
        .expect("numbers coprime to n never end")
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
