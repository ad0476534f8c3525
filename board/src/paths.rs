//! Where things are on the box. The image is built after this page (`board/image/`).

/// The data partition.
pub const DATA: &str = "/data";
/// The gateway's store; the image makes `/var/lib/wagate` a link to it, so that the default of `store.path` holds.
pub const STORE: &str = "/data/store";
/// The configuration in force is `current/wagate.toml` in here.
pub const CONFIG: &str = "/data/config";
/// What the supervisor keeps, a file each: identity, last known time, the tail of the log.
pub const BOX: &str = "/data/box";
/// Where the ESP is mounted while something is read or written there; at no other time.
pub const ESP: &str = "/efi";
/// Environment block of GRUB on the ESP, and the copy that is read when the first is damaged.
pub const GRUBENV: &str = "grub/grubenv";
/// See [`GRUBENV`].
pub const GRUBENV_COPY: &str = "grub/grubenv.bak";
/// The version that runs: `VERSION=`, `BOARD=`, `BUILT=` (seconds since 1970), a line each.
pub const RELEASE: &str = "/etc/wagate/release";
/// Keys that may sign updates, one `*.pub` file each.
pub const UPDATE_KEYS: &str = "/etc/wagate/update-keys";
/// The supervisor's socket.
pub const SOCKET: &str = "/run/wagate/board.sock";
/// Where a program finds [`SOCKET`]; unset on a machine without a board.
pub const SOCKET_ENV: &str = "WAGATE_BOARD_SOCKET";
/// Leases of DHCP, one file for each interface, as `/etc/wagate/udhcpc.sh` writes them.
pub const LEASES: &str = "/run/wagate/net";
