//! A proxy on loopback between Holdfast and a server: it passes requests on, and does harm to those that it is told to.
//!
//! Each request is read whole before it is judged, and each answer before it is sent, so that what was done to which is
//! exact. It speaks as much HTTP/1.1 as these servers and clients do: bodies with a length, or in chunks.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use url::Url;

/// What is done to one request.
#[derive(Debug)]
pub enum Harm {
    None,
    /// It is passed on after a while.
    Delay(Duration),
    /// It is not passed on; this status and code are the answer.
    Refuse(u16, &'static str),
    /// It is not passed on; the connection breaks.
    Break,
    /// The answer breaks off in the middle of its body.
    Cut,
    /// It is passed on and takes effect; nobody hears of it.
    LoseAnswer,
    /// One bit of the answer's body is another.
    Flip,
    /// It is passed on, and its answer waits until the other end is dropped.
    Hold(Receiver<()>),
}

/// A request as the judge sees it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Counted from 0.
    pub number: usize,
    pub method: &'a str,
    /// With its query.
    pub target: &'a str,
}

type Judge = dyn Fn(&Asked<'_>) -> Harm + Send + Sync;

/// A proxy that listens.
pub struct Wire {
    pub endpoint: Url,
    judge: Arc<Mutex<Arc<Judge>>>,
    harmed: Arc<AtomicUsize>,
}

impl Wire {
    /// Before the server at `server`; its path stays.
    pub fn before(server: &Url) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut endpoint = server.clone();
        endpoint.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let to = format!("{}:{}", server.host_str().unwrap(), server.port().unwrap());
        let calm: Arc<Judge> = Arc::new(|_| Harm::None);
        let wire = Wire { endpoint, judge: Arc::new(Mutex::new(calm)), harmed: Arc::default() };
        let (judge, harmed) = (Arc::clone(&wire.judge), Arc::clone(&wire.harmed));
        let count = Arc::new(AtomicUsize::new(0));
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (judge, harmed, count, to) =
                    (Arc::clone(&judge), Arc::clone(&harmed), Arc::clone(&count), to.clone());
                std::thread::spawn(move || {
                    // A connection that broke is what this is about.
                    let _ = serve(client, &to, &judge, &harmed, &count);
                });
            }
        });
        wire
    }

    /// From now on requests are judged so.
    pub fn judge(&self, judge: impl Fn(&Asked<'_>) -> Harm + Send + Sync + 'static) {
        *self.judge.lock().unwrap() = Arc::new(judge);
    }

    /// Requests that were harmed so far.
    pub fn harmed(&self) -> usize {
        self.harmed.load(Ordering::SeqCst)
    }
}

fn serve(
    client: TcpStream,
    to: &str,
    judge: &Mutex<Arc<Judge>>,
    harmed: &AtomicUsize,
    count: &AtomicUsize,
) -> io::Result<()> {
    let mut from = BufReader::new(client.try_clone()?);
    let mut client = client;
    while let Some(mut request) = Message::read(&mut from, false)? {
        let mut words = request.first.split(' ');
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let judge = Arc::clone(&judge.lock().unwrap());
        let number = count.fetch_add(1, Ordering::SeqCst);
        let harm = judge(&Asked { number, method: &method, target: &target });
        if !matches!(harm, Harm::None) {
            harmed.fetch_add(1, Ordering::SeqCst);
        }
        match harm {
            Harm::Delay(time) => std::thread::sleep(time),
            Harm::Break => return Ok(()),
            Harm::Refuse(status, code) => {
                let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
                let length = body.len();
                write!(client, "HTTP/1.1 {status} Refused\r\ncontent-length: {length}\r\n\r\n{body}")?;
                continue;
            }
            _ => {}
        }
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("expect"));
        let mut server = TcpStream::connect(to)?;
        request.write(&mut server)?;
        let mut answers = BufReader::new(server);
        let Some(mut answer) = Message::read(&mut answers, method == "HEAD")? else { return Ok(()) };
        match harm {
            Harm::LoseAnswer => return Ok(()),
            Harm::Cut => {
                let half = answer.body.len() / 2;
                answer.write_part(&mut client, half)?;
                return Ok(());
            }
            Harm::Flip => {
                let middle = answer.body.len() / 2;
                if let Some(byte) = answer.body.get_mut(middle) {
                    *byte ^= 4;
                }
            }
            // Dropped or sent: go on.
            Harm::Hold(until) => drop(until.recv()),
            _ => {}
        }
        answer.write(&mut client)?;
    }
    Ok(())
}

/// A request or an answer.
struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Of a HEAD: the length it tells is of a body that does not come.
    told: Option<String>,
}

impl Message {
    fn read(from: &mut impl BufRead, of_head: bool) -> io::Result<Option<Message>> {
        let mut first = String::new();
        if from.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let get =
            |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, it)| it.clone());
        let mut body = Vec::new();
        let bodiless = of_head || first.contains(" 204 ") || first.contains(" 304 ");
        let told = get("content-length");
        if get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) && !bodiless {
            read_chunks(from, &mut body)?;
        } else if let Some(length) = told.as_ref().and_then(|length| length.parse().ok()).filter(|_| !bodiless) {
            body.resize(length, 0);
            from.read_exact(&mut body)?;
        }
        headers.retain(|(name, _)| {
            !["content-length", "transfer-encoding", "connection"].iter().any(|it| name.eq_ignore_ascii_case(it))
        });
        let told = told.filter(|_| of_head);
        Ok(Some(Message { first: first.trim_end().to_owned(), headers, body, told }))
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        self.write_part(to, self.body.len())
    }

    /// Tells the whole length, and sends so much.
    fn write_part(&self, to: &mut impl Write, length: usize) -> io::Result<()> {
        let mut bytes = format!("{}\r\n", self.first).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        let told = self.told.clone().unwrap_or_else(|| self.body.len().to_string());
        if !self.first.contains(" 204 ") {
            bytes.extend(format!("content-length: {told}\r\n").bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body[..length]);
        to.write_all(&bytes)?;
        to.flush()
    }
}

fn read_chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        let begin = body.len();
        body.resize(begin + size, 0);
        from.read_exact(&mut body[begin..])?;
        // The line end behind the chunk, and behind the last one.
        from.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(());
        }
    }
}
