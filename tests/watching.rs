//! Observers of a run in progress: a Prometheus server that polls, and an OpenTelemetry collector that receives spans.

use crate::support::{Hardware, Launch, Running, TestContext, free_port, guest};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Returns what an address serves, as soon as it contains `sign`.
fn asked(address: &str, sign: &str) -> String {
    let began = Instant::now();
    loop {
        let mut text = String::new();
        if let Ok(mut stream) = TcpStream::connect(address) {
            let request = "GET /metrics HTTP/1.1\r\nHost: llem\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_string(&mut text).unwrap();
        }
        if text.contains(sign) {
            return text;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no '{sign}' in {text}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn prometheus_is_answered_while_a_run_goes_on() {
    let (hardware, context) = (Hardware::new().gpu(300, 60, |_| {}), TestContext::new());
    let long = guest("many_requests");
    let args = ["exec", &long, "--serve-metrics", "127.0.0.1:0"];
    let mut child = Running::start(hardware.command(&context, &args).stderr(Stdio::piped()));
    let mut first = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut first).unwrap();
    let address =
        first.trim().strip_prefix("metrics at http://").unwrap().strip_suffix("/metrics").unwrap();
    let text = asked(address, "llem_device_power_watts{");
    assert!(
        text.contains(r#"llem_device_power_watts{device="cuda:0",domain="gpu"} 300"#),
        "{text}"
    );
    assert!(text.contains(r#"llem_device_temperature_celsius{device="cuda:0"} 60"#), "{text}");
    let text = asked(address, "llem_time_to_first_token_seconds_count{");
    assert!(text.contains("llem_output_tokens_total{") && text.contains("# EOF\n"), "{text}");
}

#[test]
fn an_address_that_cannot_be_had_is_refused() {
    let ran = TestContext::new().llem(&["exec", "quickstart", "--serve-metrics", "not-an-address"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--serve-metrics not-an-address"), "{}", ran.stderr);
    let ran = TestContext::new().llem(&["exec", "quickstart", "--otlp-endpoint", "localhost:4318"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("such as http://localhost:4318"), "{}", ran.stderr);
}

/// Only rank 0 opens the port, so that the processes of a launch do not compete for it.
#[test]
fn of_several_processes_one_serves_metrics() {
    let context = TestContext::new();
    let address = format!("127.0.0.1:{}", free_port());
    let small = ["-p", "rounds=1", "-p", "new-tokens=2"];
    let args =
        [&["exec", "quickstart", "--tp", "2", "--serve-metrics", &address][..], &small].concat();
    let mut ended = Launch::start(&context, &args, 2).end();
    let first = ended.remove(0).ok();
    assert!(first.stderr.contains(&format!("metrics at http://{address}")), "{}", first.stderr);
    assert_eq!(ended.remove(0).ok().stderr, "");
    assert_eq!(context.record()["status"], "completed");
}

/// The error comes before the run begins, and all ranks end.
#[test]
fn a_port_that_another_has_is_refused() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let words = ["--serve-metrics", "ddress already in use"];
    let context = TestContext::new();
    let args = ["exec", "quickstart", "--serve-metrics", &address];
    context.llem(&args).refused(2, &words);
    let mut ended = Launch::start(&context, &[&args[..], &["--tp", "2"]].concat(), 2).end();
    ended.remove(0).refused(2, &words);
    ended.remove(0).ok();
    assert!(!context.folder.path().join("run").exists(), "no run has begun");
}

/// Receives exports until the run is over, and returns the spans of all of them.
fn collect(listener: &TcpListener, over: &AtomicBool) -> Vec<Value> {
    listener.set_nonblocking(true).unwrap();
    let mut spans = Vec::new();
    loop {
        // Checked first, so that a connection made before the end of the run is still accepted.
        let was_over = over.load(Ordering::SeqCst);
        let Ok((stream, _)) = listener.accept() else {
            if was_over {
                return spans;
            }
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        // The exporter ends with the run at the latest.
        stream.set_nonblocking(false).unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(body) = request(&mut reader) {
            let export: Value = serde_json::from_slice(&body).unwrap();
            for resource in export["resourceSpans"].as_array().unwrap() {
                assert!(resource["resource"].to_string().contains("\"llem\""));
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    spans.extend(scope["spans"].as_array().unwrap().iter().cloned());
                }
            }
            let reply =
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
            reader.get_mut().write_all(reply).unwrap();
        }
    }
}

/// Returns the body of a request, or `None` if the connection has ended.
fn request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    assert!(line.starts_with("POST /v1/traces"), "{line}");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(body)
}

/// Returns the spans that a collector gets from a run of the quickstart with two rounds of four tokens, on a machine without
/// counters of energy.
fn spans_of(context: &TestContext, more: &[&str]) -> (String, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let collector = thread::spawn({
        let over = Arc::clone(&over);
        move || collect(&listener, &over)
    });
    let args = ["exec", "quickstart", "--otlp-endpoint", &endpoint];
    let small = ["-p", "rounds=2", "-p", "new-tokens=4"];
    let hardware = Hardware::new().without_nvml();
    hardware.llem(context, &[&args[..], &small, more].concat()).ok();
    over.store(true, Ordering::SeqCst);
    let spans = collector.join().unwrap();
    (endpoint, spans)
}

/// Returns the value of a span's attribute, or null if there is none of this name.
fn attribute(span: &Value, key: &str) -> Value {
    let mut all = span["attributes"].as_array().unwrap().iter();
    all.find(|one| one["key"] == key).map(|one| one["value"].clone()).unwrap_or_default()
}

#[test]
fn spans_say_what_their_energy_is_of() {
    let (_, spans) = spans_of(&TestContext::new(), &["--power-model", "tdp=65,idle=12"]);
    let generated: Vec<_> =
        spans.iter().filter(|span| span["name"] == "generate 16 words").collect();
    assert!(!generated.is_empty(), "{spans:?}");
    for span in generated {
        assert!(attribute(span, "llem.energy_joules")["doubleValue"].is_number(), "{span}");
        let covers = attribute(span, "llem.energy_covers")["arrayValue"]["values"].clone();
        assert!(covers[0]["stringValue"].as_str().unwrap().starts_with("cpu "), "{span}");
        // OTLP/JSON may write 64-bit integers as text.
        let model = attribute(span, "llem.model")["intValue"].clone();
        assert!(model == 0 || model == "0", "{span}");
    }
}

#[test]
fn a_collector_gets_the_spans_of_a_run() {
    let context = TestContext::new();
    let (endpoint, spans) = spans_of(&context, &[]);
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).collect::<Vec<_>>();
    let [run, measure] = ["run", "measure"].map(|name| named(name)[0]);
    assert_eq!(measure["parentSpanId"], run["spanId"]);
    let generated: Vec<&Value> = named("generate 16 words");
    let measured: Vec<_> =
        generated.iter().filter(|span| span["parentSpanId"] == measure["spanId"]).collect();
    assert_eq!(measured.len(), 2, "{spans:?}");
    let of = |span: &Value, field: &str| -> u64 {
        span[field]
            .as_str()
            .map_or_else(|| span[field].as_u64().unwrap(), |text| text.parse().unwrap())
    };
    for span in &measured {
        assert!(of(measure, "startTimeUnixNano") <= of(span, "startTimeUnixNano"));
        assert!(of(span, "endTimeUnixNano") <= of(measure, "endTimeUnixNano"));
        let attributes = span["attributes"].to_string();
        assert!(
            attributes.contains("gen_ai.usage.output_tokens")
                && attributes.contains("llem.energy_unavailable")
        );
        assert!(attribute(span, "llem.energy_covers").is_null(), "nothing is measured: {span}");
    }
    let unreached = context.folder.path().join("run");
    std::fs::remove_dir_all(unreached).unwrap();
    // If the collector has gone, the run only warns.
    let ran = context
        .llem(&[
            "exec",
            "quickstart",
            "--otlp-endpoint",
            &endpoint,
            "-p",
            "rounds=1",
            "-p",
            "new-tokens=4",
        ])
        .ok();
    drop(ran);
}
