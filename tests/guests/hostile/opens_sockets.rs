//! Resolves a host name, connects and listens. Each must be refused.

use llem_sdk::prelude::*;
use test_guests::wasi::sockets::{
    instance_network::instance_network,
    ip_name_lookup::resolve_addresses,
    network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress},
    tcp_create_socket::create_tcp_socket,
    udp_create_socket::create_udp_socket,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("opens-sockets", "0.1.0", "Connects and listens.")
}

fn run() -> Result<()> {
    let network = instance_network();
    let to = |port| IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
    let mut accepted = Vec::new();
    if let Ok(addresses) = resolve_addresses(&network, "localhost") {
        addresses.subscribe().block();
        if addresses.resolve_next_address().is_ok() {
            accepted.push("a name");
        }
    }
    if let Ok(socket) = create_tcp_socket(IpAddressFamily::Ipv4)
        && socket.start_connect(&network, to(22)).is_ok()
    {
        accepted.push("a connection");
    }
    if let Ok(socket) = create_tcp_socket(IpAddressFamily::Ipv4)
        && socket.start_bind(&network, to(0)).is_ok()
    {
        accepted.push("a TCP port");
    }
    if let Ok(socket) = create_udp_socket(IpAddressFamily::Ipv4)
        && socket.start_bind(&network, to(0)).is_ok()
    {
        accepted.push("a UDP port");
    }
    match accepted.is_empty() {
        true => Ok(()),
        false => Err(Error::from(format!("accepted: {}", accepted.join(", ")))),
    }
}
