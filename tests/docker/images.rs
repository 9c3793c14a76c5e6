//! What the images hold, and how they are built.

use crate::deployment::inspect;
use crate::engine::{build_image, build_images, docker, try_docker};

const SIZE_MAX: u64 = 15_000_000;

#[test]
fn the_images_are_small_and_belong_to_nobody() {
    build_images();
    for (image, entry, command) in [
        ("server:latest", "[/bolillero-server]", "[serve --listen 0.0.0.0 --data-dir /data]"),
        ("client:latest", "[/bolillero]", "[agency]"),
    ] {
        let size: u64 = inspect(image, "{{.Size}}").parse().unwrap();
        assert!(size < SIZE_MAX, "{image} has {size} bytes");
        assert_eq!(inspect(image, "{{.Config.User}}"), "10001:10001", "{image}");
        assert_eq!(inspect(image, "{{.Config.Entrypoint}}"), entry);
        assert_eq!(inspect(image, "{{.Config.Cmd}}"), command);
    }
    let health = inspect("server:latest", "{{.Config.Healthcheck.Test}}");
    assert_eq!(health, "[CMD /bolillero-server health]");
}

/// The directory of the ledger as the image has it, and as a fresh volume takes it over.
#[test]
fn the_directory_for_the_ledger_is_private() {
    build_images();
    let container = docker(&["create", "--volume", "/data", "server:latest"]);
    let archive = try_docker(&["cp", &format!("{container}:/data"), "-"]).stdout;
    docker(&["rm", "--volumes", &container]);
    // The header of a tar archive's first entry: name, mode, owner, group.
    let field = |from: usize, to: usize| {
        String::from_utf8_lossy(&archive[from..to]).trim_matches(['\0', ' ']).to_owned()
    };
    assert_eq!(field(0, 100), "data/");
    let number = |from, to| u32::from_str_radix(&field(from, to), 8).unwrap() & 0o7777;
    assert_eq!(number(100, 108), 0o700);
    let owners = [field(108, 116), field(116, 124)].map(|id| u32::from_str_radix(&id, 8).unwrap());
    assert_eq!(owners, [10_001, 10_001]);
}

#[test]
fn building_again_compiles_nothing() {
    build_images();
    for image in ["server", "client"] {
        let said = build_image(image);
        assert!(!said.contains("Compiling"), "{said}");
    }
}

#[test]
fn the_programs_start_with_nothing_mounted_and_a_root_that_is_read_only() {
    build_images();
    for (image, help) in [("server:latest", "The central office"), ("client:latest", "The agency")]
    {
        let said = docker(&["run", "--rm", "--read-only", "--network", "none", image, "--help"]);
        assert!(said.starts_with(help), "{said}");
    }
}
