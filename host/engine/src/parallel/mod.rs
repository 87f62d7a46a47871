//! A model on several ranks: tensor- and pipeline-parallel, and as replicas that share requests.
//!
//! ```text
//! Model ─┬─ Replica 0 ── leader ──────┐ stage 0 ┐
//!        │      │ Command             │ tensor  │ pipeline      each rank: Rank = Decoder (its layers,
//!        │      └───► rank 1 ─────────┘ group   │ groups        its shard of each) + KV caches
//!        │      └───► rank 2, 3 ──────  stage 1 ┘
//!        └─ Replica 1 ── ...
//! ```
//!
//! The leader decides what is run and the others are told; in between ranks meet only in their groups'
//! [`Communicator`]s, and run the same code whatever those are: threads of this process, processes over
//! sockets, or GPUs over NCCL.

pub mod command;
mod communicator;
mod cpu_group;
mod device_group;
pub mod fate;
mod group_ids;
mod launch;
mod microbatches;
mod nccl;
pub mod rank;
mod rank_device;
mod rendezvous;
pub mod replica;
mod seat;
mod shard;
mod sockets;
pub mod split;
mod threads;
mod worker;
pub mod world;

pub use communicator::{Communicator, Solo};
pub use device_group::DeviceGroup;
pub use launch::launcher_variables;
pub use replica::{BatchRoom, Replica, ReplicaConfig};
pub use shard::Shard;
pub use split::Split;
pub use world::World;
