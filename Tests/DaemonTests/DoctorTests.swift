import Client
import Foundation
import TestKit
import Testing

/// What the tools say of a database that others have their hands in.
@Suite(.serialized) struct DoctorTests {
    private func waitFor(_ condition: () throws -> Bool) throws -> Bool {
        let deadline = LineSocket.now() + 30
        while LineSocket.now() < deadline {
            if try condition() { return true }
            usleep(50_000)
        }
        return false
    }

    /// An administrator's session holds a lock: the doctor says whose it is.
    @Test func theDoctorNamesWhoHoldsThingsUp() throws {
        let cluster = try TestCluster()
        let caravan = DaemonProcess.program("caravan")
        func session(_ sql: String) throws -> Process {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/psql")
            process.arguments = [cluster.conninfo, "-q", "-c", sql]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            return process
        }
        let holder = try session(
            "begin; lock table batch in access exclusive mode; select pg_sleep(60)")
        let holds = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted "
        #expect(
            try waitFor { try cluster.rows(holds + "and relation = 'batch'::regclass") == ["1"] })
        let waiter = try session("begin; lock table batch in access exclusive mode")
        defer {
            waiter.terminate()
            holder.terminate()
        }
        #expect(
            try waitFor {
                try Shell.run(
                    [caravan, "doctor", "--json", "--database", cluster.conninfo], status: nil
                ).contains("has held a lock")
            })
    }

    /// What its tables mean nobody knows here: a tool of before changes nothing in them.
    @Test func toolsKeepAwayFromANewerSchema() throws {
        let cluster = try TestCluster()
        _ = try cluster.rows("insert into schema_version values (99, 'future')")
        for words in [
            ["post", "enrol", "Q", "--place", "KZHOR"], ["show", "Q"], ["quarantine", "list"],
            ["export"],
        ] {
            let said = try Shell.run(
                [DaemonProcess.program("caravan")] + words + ["--database", cluster.conninfo],
                status: 1)
            #expect(said.contains("install a newer caravan"), "\(words): \(said)")
        }
        #expect(try cluster.rows("select count(*) from post") == ["0"])
    }
}
