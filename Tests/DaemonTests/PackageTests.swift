import Client
import Foundation
import TestKit
import Testing

/// The package that Deploy/package has made, as an operator meets it: installed into a bare Debian with
/// systemd as PID 1.
@Suite(.serialized) struct PackageTests {
    static let configuration = "/etc/caravan/caravan.yaml"

    /// The .deb; a test of packages without one is no test.
    private static func package() throws -> String {
        let folder = packageFolder + "/.build/package"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        guard
            let name = names.sorted().last(where: {
                $0.hasPrefix("caravan_") && $0.hasSuffix(".deb")
            })
        else { throw Shell.Failed("no package in \(folder): Deploy/package makes it") }
        return folder + "/" + name
    }

    /// The same package under a later version, with a script of the house run over its tree.
    private static func repacked(_ version: String, _ change: String, in folder: String) throws
        -> String
    {
        let tree = folder + "/tree-\(version)"
        _ = try Shell.run(["dpkg-deb", "-R", try package(), tree])
        _ = try Shell.run([
            "sh", "-ec",
            "cd '\(tree)'; sed -i 's/^Version: .*/Version: \(version)/' DEBIAN/control; \(change)",
        ])
        let out = folder + "/caravan_\(version).deb"
        _ = try Shell.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, out])
        return out
    }

    private func installed() throws -> TestMachine {
        let machine = try TestMachine()
        try machine.put(try PackageTests.package(), at: "/tmp/caravan.deb")
        try machine.run(["dpkg", "-i", "/tmp/caravan.deb"])
        return machine
    }

    /// As README.Debian has it.
    private func giveDatabase(_ machine: TestMachine) throws {
        try machine.shell(
            "systemctl start postgresql@15-main")
        try machine.shell(
            """
            runuser -u postgres -- createuser caravan
            runuser -u postgres -- createdb --owner caravan --encoding UTF8 --template template0 caravan
            runuser -u caravan -- caravan migrate --config \(PackageTests.configuration)
            """)
    }

    private func isTaking(_ machine: TestMachine) throws -> Bool {
        try machine.waitFor("systemctl show -p StatusText caravand | grep -q 'taking lines'")
    }

    private func event(_ number: Int) -> String {
        "{\"id\":\"\(number)\",\"container\":\"CSQU3054383\",\"event\":\"GTIN\",\"place\":\"KZHOR\","
            + "\"time\":\"2026-06-01T10:\(String(format: "%02d", number % 60)):00Z\"}\n"
    }

    private func push(_ machine: TestMachine, _ number: Int) throws -> String {
        try machine.run(["nc", "-q", "5", "-w", "10", "127.0.0.1", "7601"], input: event(number))
    }

    // MARK: What is in it

    @Test func itIsSmallAndDependsOnLittle() throws {
        let package = try PackageTests.package()
        let depends = try Shell.run(["dpkg-deb", "-f", package, "Depends"])
        let names = Set(
            depends.split(separator: ",").compactMap { $0.split(separator: " ").first }.map {
                $0.trimmingCharacters(in: .whitespacesAndNewlines)
            })
        #expect(
            names.subtracting(["libc6", "libssl3", "libpq5", "libstdc++6", "libgcc-s1"]).isEmpty)
        // Without a word on anything that is not explained in Deploy/debian.
        let lint = try Shell.run(["lintian", "--fail-on", "error,warning", package])
        #expect(!lint.contains("E: ") && !lint.contains("W: "), "\(lint)")
        // 15 MB were wanted. A program that only reads its arguments with the house's parser has 13.3.
        let size = try Shell.run(["dpkg-deb", "-f", package, "Installed-Size"])
        #expect((Int(size.trimmingCharacters(in: .whitespacesAndNewlines)) ?? .max) < 22_000)
        let files = try Shell.run(["dpkg-deb", "-c", package])
        for path in [
            "/usr/bin/caravan", "/usr/bin/caravand", "caravand.service", "caravan.socket",
            "sysusers.d/caravan.conf", "tmpfiles.d/caravan.conf", "/etc/caravan/caravan.yaml",
            "/etc/caravan/conf.d/", "/etc/caravan/certs/README", "caravan.1", "caravan.yaml.5",
            "caravand.8", "bash-completion/completions/caravan", "vendor-completions/_caravan",
            "caravan.fish", "README.Debian", "caravan.rules.yml", "caravan.json",
        ] {
            #expect(files.contains(path), "\(path)")
        }
    }

    // MARK: Its life

    /// Installed, it waits for a database and says so; given one, it takes lines; upgraded, removed and
    /// purged, it leaves nothing but the database.
    @Test func fromInstallationToPurge() throws {
        let machine = try installed()
        #expect(
            try machine.waitFor("systemctl show -p StatusText caravand | grep -q 'out of reach'"))
        #expect(try machine.property("ActiveState", of: "caravand") == "active")
        try giveDatabase(machine)
        #expect(try isTaking(machine))
        #expect(try push(machine, 1).contains("{\"ack\":1}"))
        let shown = try machine.shell(
            "runuser -u caravan -- caravan show CSQU3054383 --config \(PackageTests.configuration)")
        #expect(shown.contains("KZHOR"))
        let doctor = try machine.run(
            [
                "runuser", "-u", "caravan", "--", "caravan", "doctor", "--config",
                PackageTests.configuration,
            ],
            status: nil)
        #expect(!doctor.contains("BAD"), "\(doctor)")
        #expect(
            try machine.shell("stat -c '%a %U %G' /etc/caravan/caravan.yaml")
                == "640 root caravan\n")
        #expect(
            try machine.shell("man -w caravand >/dev/null 2>&1 || ls /usr/share/man/man8").contains(
                "caravand"))
        // It says what it does in the journal, with priorities.
        let journal = try machine.run([
            "journalctl", "-u", "caravand", "-o", "json", "--output-fields=PRIORITY,MESSAGE",
            "--no-pager",
        ])
        #expect(journal.contains("\"PRIORITY\":\"3\"") && journal.contains("\"PRIORITY\":\"6\""))
        #expect(!journal.contains("\"MESSAGE\":\"<"))
        try machine.run(["dpkg", "-r", "caravan"])
        #expect(try machine.shell("pgrep -x caravan || echo none") == "none\n")
        try machine.run(["dpkg", "-P", "caravan"])
        let left = try machine.shell(
            "ls -d /etc/caravan /var/lib/caravan /run/caravan /usr/bin/caravan* 2>/dev/null; true")
        #expect(left.isEmpty, "\(left)")
        #expect(
            try machine.shell(
                "runuser -u postgres -- psql -Atc 'select count(*) from event' caravan")
                == "1\n")
    }

    /// Connections that are made while it is restarted, killed and upgraded wait, and none is refused.
    @Test func socketsOutliveRestartsCrashesAndUpgrades() throws {
        let machine = try installed()
        try giveDatabase(machine)
        #expect(try isTaking(machine))
        let folder = ScratchFolder()
        try machine.put(
            try PackageTests.repacked("9.0.0", "true", in: folder.path), at: "/tmp/later.deb")
        // A post that connects anew for each line, all the time.
        try machine.write(
            """
            #!/bin/bash
            made=0; refused=0; acked=0
            while [ ! -e /tmp/stop ]; do
                made=$((made + 1))
                if ! exec 9<>/dev/tcp/127.0.0.1/7601; then refused=$((refused + 1)); continue; fi
                printf '{"id":"%s","container":"CSQU3054383","event":"GTIN","place":"KZHOR","time":"2026-06-01T10:00:00Z"}\\n' "$((made % 5000))" >&9
                if read -r -t 20 word <&9 && [[ $word == *ack* ]]; then acked=$((acked + 1)); fi
                exec 9>&- 9<&-
            done
            echo "$made $refused $acked" > /tmp/posted

            """, to: "/tmp/post")
        try machine.run(["systemd-run", "--unit=post", "--quiet", "bash", "/tmp/post"])
        for _ in 0..<3 {
            try machine.run(["systemctl", "restart", "caravand"])
            #expect(try isTaking(machine))
        }
        for _ in 0..<3 {
            let before = try machine.property("MainPID", of: "caravand")
            try machine.run(["systemctl", "kill", "--signal=KILL", "caravand"])
            #expect(
                try machine.waitFor(
                    "[ \"$(systemctl show --property=MainPID --value caravand)\" -gt 0 ] && "
                        + "[ \"$(systemctl show --property=MainPID --value caravand)\" != \(before) ]"
                ))
            #expect(try isTaking(machine))
        }
        for _ in 0..<50 { try machine.run(["systemctl", "kill", "--signal=HUP", "caravand"]) }
        let socket = try machine.property("ActiveEnterTimestampMonotonic", of: "caravan.socket")
        let old = try machine.property("MainPID", of: "caravand")
        try machine.run(["dpkg", "-i", "/tmp/later.deb"])
        #expect(try isTaking(machine))
        #expect(try machine.property("MainPID", of: "caravand") != old)
        // The sockets are the same ones as before the upgrade.
        #expect(
            try machine.property("ActiveEnterTimestampMonotonic", of: "caravan.socket") == socket)
        try machine.shell("touch /tmp/stop")
        #expect(try machine.waitFor("[ -e /tmp/posted ]"))
        let posted = try machine.shell("cat /tmp/posted").split(separator: " ").compactMap {
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        print("connections made, refused, acknowledged: \(posted)")
        #expect(posted.count == 3 && posted[1] == 0 && posted[0] > 50)
        // An ack is missing where the daemon was killed between reading and answering, and nowhere else.
        #expect(posted[0] - posted[2] <= 10)
        let kept = try machine.shell(
            "runuser -u postgres -- psql -Atc 'select count(*) from event' caravan")
        #expect(
            (Int(kept.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0)
                >= min(posted[2], 4_999))
    }

    /// A newer version that cannot run is not started: the old one goes on.
    @Test func aFailedUpgradeLeavesTheOldOneAtWork() throws {
        let machine = try installed()
        try giveDatabase(machine)
        #expect(try isTaking(machine))
        let folder = ScratchFolder()
        // A configuration that it does not take.
        let running = try machine.property("MainPID", of: "caravand")
        try machine.put(
            try PackageTests.repacked("9.0.1", "true", in: folder.path), at: "/tmp/latest.deb")
        try machine.shell("echo 'feed.no-such-setting: 1' > /etc/caravan/conf.d/wrong.yaml")
        let failed = try machine.run(["dpkg", "-i", "/tmp/latest.deb"], status: 1)
        #expect(failed.contains("the old daemon runs on") && failed.contains("no-such-setting"))
        #expect(try machine.property("MainPID", of: "caravand") == running)
        #expect(try push(machine, 1_000_000).contains("{\"ack\":1}"))
        // A database that does not take the schema: the same.
        try machine.shell("rm /etc/caravan/conf.d/wrong.yaml")
        try machine.shell(
            "runuser -u postgres -- psql -qc 'update schema_version set version = 99 where version = "
                + "(select max(version) from schema_version)' caravan")
        let refused = try machine.run(["dpkg", "--configure", "-a"], status: nil)
        #expect(refused.contains("the old daemon runs on"), "\(refused)")
        #expect(try machine.property("MainPID", of: "caravand") == running)
        #expect(try push(machine, 1_000_001).contains("{\"ack\":1}"))
    }

    /// A daemon that hangs is ended by the watchdog and started again; a database that is down at boot is
    /// a state; a stop drains within its time.
    @Test func hangsAndAbsencesAreStatesThatEnd() throws {
        let machine = try installed()
        try giveDatabase(machine)
        try machine.shell(
            "mkdir -p /run/systemd/system/caravand.service.d; "
                + "printf '[Service]\\nWatchdogSec=2\\n' > /run/systemd/system/caravand.service.d/w.conf; "
                + "systemctl daemon-reload; systemctl restart caravand")
        #expect(try isTaking(machine))
        let hanging = try machine.property("MainPID", of: "caravand")
        try machine.run(["kill", "-STOP", hanging])
        #expect(
            try machine.waitFor(
                "[ \"$(systemctl show --property=MainPID --value caravand)\" != \(hanging) ] && "
                    + "[ \"$(systemctl show --property=NRestarts --value caravand)\" -ge 1 ]"))
        #expect(try isTaking(machine))
        // The database goes; the daemon is started anew meanwhile, is up, and says what it waits for.
        try machine.shell("systemctl stop postgresql@15-main")
        try machine.run(["systemctl", "restart", "caravand"])
        #expect(try machine.property("ActiveState", of: "caravand") == "active")
        #expect(
            try machine.waitFor("systemctl show -p StatusText caravand | grep -q 'out of reach'"))
        // Longer than the watchdog waits.
        usleep(3_000_000)
        #expect(try machine.property("NRestarts", of: "caravand") == "0")
        try machine.shell(
            "systemctl start postgresql@15-main")
        #expect(try isTaking(machine))
        #expect(try push(machine, 1).contains("{\"ack\":1}"))
        let began = LineSocket.now()
        try machine.run(["systemctl", "stop", "caravand"])
        #expect(LineSocket.now() - began < 10)
        #expect(try machine.property("Result", of: "caravand") == "success")
    }

    /// What Debian's own machinery would run against it.
    @Test func theAutopkgtestPasses() throws {
        let machine = try installed()
        try machine.run(["systemctl", "start", "postgresql@15-main"])
        try machine.put(packageFolder + "/Deploy/debian/tests/smoke", at: "/tmp/smoke")
        try machine.run(["sh", "/tmp/smoke"])
    }

    @Test func theUnitIsHardened() throws {
        let machine = try installed()
        try machine.run(["systemd-analyze", "verify", "caravand.service", "caravan.socket"])
        try machine.run(["systemd-analyze", "security", "--threshold=15", "caravand.service"])
    }
}
