use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::engine::Engine;

const AT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7);

/// Two hosts, and what lets both go on for that long.
struct Pair {
    net: Net,
    engines: [Engine; 2],
    now: Moment,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let net = Net::new(2, seed, Weather { jitter: 40, rough: 0 }, Trace::default());
        let engines = [(); 2].map(|()| Engine::new(Moment::ZERO).unwrap());
        engines.iter().enumerate().for_each(|(host, engine)| net.up(host, engine.zero()));
        Self { net, engines, now: Moment::ZERO }
    }

    fn go(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            for engine in &self.engines {
                engine.go(self.now, std::future::pending::<()>());
            }
            self.net.deliver(self.now);
        }
    }

    /// Sends octets from the first to the second, which tells what it read to the end, or why it could not.
    fn send(&self, octets: Vec<u8>, end: bool) -> Arc<Mutex<Option<io::Result<Vec<u8>>>>> {
        let (hosted, bound) = (self.net.of(0), self.net.of(1).bind(AT).unwrap());
        let read = Arc::new(Mutex::new(None));
        let told = read.clone();
        self.engines[1].spawn(async move {
            let mut octets = Vec::new();
            let count = bound.next().await.read_to_end(&mut octets).await;
            *told.lock().unwrap() = Some(count.map(|_| octets));
        });
        self.engines[0].spawn(async move {
            let mut line = hosted.call(AT).await.unwrap();
            line.write_all(&octets).await.unwrap();
            match end {
                true => drop(line),
                false => std::future::pending().await,
            }
        });
        read
    }
}

#[test]
fn octets_arrive_in_order_and_late_and_the_end_after_them() {
    let mut pair = Pair::new(3);
    let octets: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let read = pair.send(octets.clone(), true);
    pair.go(3);
    assert!(read.lock().unwrap().is_none());
    pair.go(2000);
    assert_eq!(read.lock().unwrap().take().unwrap().unwrap(), octets);
}

#[test]
fn of_a_death_the_others_hear_unless_the_power_went() {
    for silent in [false, true] {
        let mut pair = Pair::new(4);
        let read = pair.send(vec![1; 10], false);
        pair.go(200);
        pair.net.down(0, silent);
        pair.go(200);
        let heard = read.lock().unwrap().take();
        assert_eq!(
            heard.map(|read| read.unwrap_err().kind()),
            (!silent).then_some(io::ErrorKind::ConnectionReset)
        );
    }
}

#[test]
fn nobody_listens_is_an_answer_and_silence_is_none_until_somebody_is_back() {
    for silent in [false, true] {
        let mut pair = Pair::new(5);
        drop(pair.net.of(1).bind(AT).unwrap());
        pair.net.down(1, silent);
        let (hosted, answer) = (pair.net.of(0), Arc::new(Mutex::new(None)));
        let told = answer.clone();
        pair.engines[0].spawn(async move {
            let called = hosted.call(AT).await;
            *told.lock().unwrap() = Some(called.map(drop).map_err(|error| error.kind()));
        });
        pair.go(200);
        let said = *answer.lock().unwrap();
        assert_eq!(said, (!silent).then_some(Err(io::ErrorKind::ConnectionRefused)));
        let zero = pair.engines[1].zero();
        pair.net.up(1, zero);
        let _bound = pair.net.of(1).bind(AT).unwrap();
        pair.go(1200);
        let said = *answer.lock().unwrap();
        assert_eq!(said, Some(if silent { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused) }));
    }
}
