//! Bindings of the parts of WASI 0.2 that hostile guests use.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, reason = "generated")]

wit_bindgen::generate!({
    inline: r#"
        package test:hostile;
        package wasi:io@0.2.0 {
            interface error { resource error; }
            interface poll {
                resource pollable { block: func(); }
                poll: func(in: list<borrow<pollable>>) -> list<u32>;
            }
            interface streams {
                use error.{error};
                variant stream-error { last-operation-failed(error), closed }
                resource output-stream {
                    write: func(contents: list<u8>) -> result<_, stream-error>;
                    write-zeroes: func(len: u64) -> result<_, stream-error>;
                    blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                }
            }
        }
        package wasi:cli@0.2.0 {
            interface exit { exit: func(status: result); }
            interface stdout {
                use wasi:io/streams@0.2.0.{output-stream};
                get-stdout: func() -> output-stream;
            }
        }
        package wasi:clocks@0.2.0 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                now: func() -> u64;
                subscribe-duration: func(when: u64) -> pollable;
                subscribe-instant: func(when: u64) -> pollable;
            }
        }
        package wasi:random@0.2.0 {
            interface random { get-random-bytes: func(len: u64) -> list<u8>; }
        }
        package wasi:sockets@0.2.0 {
            interface network {
                resource network;
                enum error-code {
                    unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
                    concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
                    address-not-bindable, address-in-use, remote-unreachable, connection-refused,
                    connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
                    temporary-resolver-failure, permanent-resolver-failure,
                }
                enum ip-address-family { ipv4, ipv6 }
                type ipv4-address = tuple<u8, u8, u8, u8>;
                type ipv6-address = tuple<u16, u16, u16, u16, u16, u16, u16, u16>;
                variant ip-address { ipv4(ipv4-address), ipv6(ipv6-address) }
                record ipv4-socket-address { port: u16, address: ipv4-address }
                record ipv6-socket-address {
                    port: u16, flow-info: u32, address: ipv6-address, scope-id: u32,
                }
                variant ip-socket-address { ipv4(ipv4-socket-address), ipv6(ipv6-socket-address) }
            }
            interface instance-network {
                use network.{network};
                instance-network: func() -> network;
            }
            interface ip-name-lookup {
                use network.{network, error-code, ip-address};
                use wasi:io/poll@0.2.0.{pollable};
                resource resolve-address-stream {
                    resolve-next-address: func() -> result<option<ip-address>, error-code>;
                    subscribe: func() -> pollable;
                }
                resolve-addresses: func(network: borrow<network>, name: string) -> result<resolve-address-stream, error-code>;
            }
            interface tcp {
                use network.{network, error-code, ip-socket-address};
                use wasi:io/poll@0.2.0.{pollable};
                resource tcp-socket {
                    start-bind: func(network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>;
                    start-connect: func(network: borrow<network>, remote-address: ip-socket-address) -> result<_, error-code>;
                    subscribe: func() -> pollable;
                }
            }
            interface tcp-create-socket {
                use network.{error-code, ip-address-family};
                use tcp.{tcp-socket};
                create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
            }
            interface udp {
                use network.{network, error-code, ip-socket-address};
                resource udp-socket {
                    start-bind: func(network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>;
                }
            }
            interface udp-create-socket {
                use network.{error-code, ip-address-family};
                use udp.{udp-socket};
                create-udp-socket: func(address-family: ip-address-family) -> result<udp-socket, error-code>;
            }
        }
        world hostile {
            import wasi:cli/exit@0.2.0;
            import wasi:cli/stdout@0.2.0;
            import wasi:clocks/monotonic-clock@0.2.0;
            import wasi:random/random@0.2.0;
            import wasi:sockets/instance-network@0.2.0;
            import wasi:sockets/ip-name-lookup@0.2.0;
            import wasi:sockets/tcp-create-socket@0.2.0;
            import wasi:sockets/udp-create-socket@0.2.0;
        }
    "#,
    world: "test:hostile/hostile",
    generate_all,
});

pub use wasi::{cli, clocks, io, random, sockets};
