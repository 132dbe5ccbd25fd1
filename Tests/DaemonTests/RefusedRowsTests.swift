import Client
import Foundation
import TestKit
import Testing
import Wire

/// What a database refuses, by an operator's own rule as a stand-in, is found whatever row it is in, and
/// costs no other connection anything.
@Suite(.serialized) struct RefusedRowsTests {
    private static let plan =
        "{\"plan\":\"POISON-1\",\"containers\":[\"MSKU0308961\"],\"from\":\"CNXIA\",\"to\":\"KZALA\","
        + "\"mode\":\"RAIL\",\"start\":\"2026-01-01T00:00:00Z\",\"promised\":\"2036-01-01T00:00:00Z\"}\n"

    struct Rule: CustomTestStringConvertible, Sendable {
        let name: String
        let sql: [String]
        let line: String
        /// What the sender of the line is told beside its ack.
        var reject: String?

        var testDescription: String { name }
    }

    static let rules: [Rule] = [
        Rule(
            name: "an event",
            sql: ["alter table event add constraint poison check (id <> 'f777')"],
            line: eventLine(777), reject: "poison"),
        Rule(
            name: "an event, by a trigger that raises",
            sql: [
                """
                create function poison() returns trigger language plpgsql as $$ begin
                    if new.id = 'f777' then raise exception 'poison'; end if; return new; end $$
                """,
                "create trigger poison before insert on event for each row execute function poison()",
            ],
            line: eventLine(777), reject: "poison"),
        Rule(
            name: "an event, at the commit",
            sql: [
                """
                create function poison() returns trigger language plpgsql as $$ begin
                    if new.id = 'f777' then raise exception 'poison' using errcode = '23514'; end if;
                    return null; end $$
                """,
                """
                do $$ declare part regclass; begin
                    for part in select inhrelid::regclass from pg_inherits
                        where inhparent = 'event'::regclass loop
                        execute format('create constraint trigger poison after insert on %s '
                            'deferrable initially deferred for each row execute function poison()', part);
                    end loop; end $$
                """,
            ],
            line: eventLine(777), reject: "poison"),
        Rule(
            name: "an output line",
            sql: [
                "alter table output add constraint poison check (shipment is distinct from 'POISON-1')"
            ], line: plan),
        Rule(
            name: "an output line and what stands in its place",
            sql: [
                "alter table output add constraint poison check (shipment is distinct from 'POISON-1')",
                "alter table output add constraint gaps check (kind <> 'gap')",
            ], line: plan),
        Rule(
            name: "a refused line",
            sql: [
                "alter table quarantine add constraint poison check (detail not like '%rubbish%')"
            ],
            line: "{\"container\":\"rubbish\",\"event\":\"GTIN\"}\n", reject: "rubbish"),
        Rule(
            name: "a refused line in any form",
            sql: ["alter table quarantine add constraint poison check (code <> 'container')"],
            line: "{\"container\":\"rubbish\",\"event\":\"GTIN\"}\n", reject: "rubbish"),
        Rule(
            name: "a plan's snapshot",
            sql: ["alter table shipment add constraint poison check (shipment <> 'POISON-1')"],
            line: plan),
        Rule(
            name: "a closure's snapshot",
            sql: ["alter table closure add constraint poison check (closure <> 'POISON')"],
            line: "{\"closure\":\"POISON\",\"place\":\"CNHRS\",\"from\":\"2026-01-01T00:00:00Z\"}\n"
        ),
    ]

    @Test(arguments: rules) func oneLineCostsOthersNothing(_ rule: Rule) throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        for statement in rule.sql { _ = try cluster.rows(statement) }
        let other = try LineSocket(daemon.feed)
        try other.send(eventLine(1))
        #expect(try replies(other, upTo: 1).isEmpty)
        let socket = try LineSocket(daemon.feed)
        try socket.send(eventLine(2) + rule.line + eventLine(3))
        let rejects = try replies(socket, upTo: 3)
        #expect(rejects.count == (rule.reject == nil ? 0 : 1), "\(rejects)")
        if let part = rule.reject { #expect(rejects.first?.contains(part) == true, "\(rejects)") }
        // Whoever else is there notices nothing, and the checkpoint is written.
        try other.send(eventLine(4))
        #expect(try replies(other, upTo: 2).isEmpty)
        let deadline = LineSocket.now() + 30
        while try cluster.rows("select c.batch = h.batch from checkpoint c, head h") != ["t"] {
            guard LineSocket.now() < deadline else { throw Shell.Failed("no checkpoint") }
            usleep(50_000)
        }
        // Each line counts once, however often its batch was decided.
        while true {
            let figures = try String(
                contentsOfFile: daemon.folder + "/metrics.prom", encoding: .utf8)
            if figures.contains("caravan_lines_total{outcome=\"received\"} 5\n") { break }
            guard LineSocket.now() < deadline else { throw Shell.Failed("figures: \(figures)") }
            usleep(50_000)
        }
        // So it is after a crash, with what the line said still there.
        daemon.kill9()
        try daemon.start()
        let again = try LineSocket(daemon.feed)
        try again.send(rule.line + eventLine(5))
        let repeated = try replies(again, upTo: 2)
        #expect(repeated.count == (rule.reject == nil ? 0 : 1), "\(repeated)")
        #expect(
            try cluster.rows(
                "select count(distinct id) from event where id in ('f1','f2','f3','f4','f5')")
                == ["5"])
        let numbers = try daemon.output().compactMap { line -> Int? in
            guard let object = FlatObject(line) else { return nil }
            return object.text("kind") == "gap" ? object.integer("to") : object.integer("seq")
        }
        #expect(numbers == Array(1..<(numbers.count + 1)), "\(numbers)")
        #expect(daemon.stop() == 0)
    }

    @Test func aMarkThatIsNotTakenCostsTheStreamItsNumbersOnly() throws {
        let cluster = try TestCluster()
        let daemon = try DaemonProcess(cluster: cluster)
        _ = try cluster.rows(
            "alter table stream_mark add constraint poison check (length(stream) < 20)")
        let other = try LineSocket(daemon.feed)
        try other.send(eventLine(1))
        #expect(try replies(other, upTo: 1).isEmpty)
        let socket = try LineSocket(daemon.feed)
        let stream = String(repeating: "s", count: 30)
        try socket.send("{\"hello\":\"caravan/1\",\"post\":\"P\",\"stream\":\"\(stream)\"}\n")
        #expect(try socket.readLine()?.contains("welcome") == true)
        try socket.send(eventLine(2, seq: 1))
        #expect(try replies(socket, upTo: 2).isEmpty)
        try other.send(eventLine(3))
        #expect(try replies(other, upTo: 2).isEmpty)
        #expect(try cluster.rows("select count(*) from event") == ["3"])
        #expect(daemon.stop() == 0)
    }
}
