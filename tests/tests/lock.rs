//! `ipc_sync::Lock` in every placement.

use ipc_sync::Lock;

ipc_tests::locked_suite!(Lock<[u64; 2]>; []);
