import Engine
import Forecast
import FoundationEssentials
import Host
import Tracking
import Wire

/// What sources say, and what that has been worth.
enum SourceTable {
    static func show(_ records: [SourceRecord]) {
        guard Terminal.isTerminal else {
            for record in records { write(record) }
            return
        }
        if records.isEmpty {
            return print(
                "nobody's word (class EST) has been judged yet: it has to be there before it comes true"
            )
        }
        var last: String?
        for record in records {
            if record.source != last {
                print(record.source.isEmpty ? "somebody" : Printable.text(record.source))
                last = record.source
            }
            print(line(record))
        }
        print("said, seen: how far ahead it spoke, and how far that was when it was looked at;")
        print("in brackets where eight in ten of them lie; loss: what its word loses, its habit")
        print("taken off, as a share of what the forecast loses without it: below 1 it helps")
    }

    private static func ahead(_ minutes: Double?) -> String {
        minutes.map { "up to \(Terminal.span($0))" } ?? "farther"
    }

    private static func line(_ record: SourceRecord) -> String {
        guard !record.isWhole else { return "  in all:" + outcome(record) }
        var text = "  said "
        text += Terminal.padded("\(ahead(record.saidAheadMinutes)) ahead,", 18)
        text += " seen " + Terminal.padded("\(ahead(record.seenAheadMinutes)):", 12)
        return text + outcome(record)
    }

    private static func outcome(_ record: SourceRecord) -> String {
        var text = Terminal.padded(" \(record.count) came", 9)
        text += Terminal.padded(" \(Terminal.lateness(record.p50))", 14)
        text += " (\(Terminal.lateness(record.p10)) to \(Terminal.lateness(record.p90)))"
        if let loss = record.loss { text += String(format: ", loss %.2f", loss) }
        return text
    }

    private static func write(_ record: SourceRecord) {
        var out = JSONWriter()
        out.begin()
        out.field("source", record.source)
        if record.isWhole { out.field("all", true) }
        out.field("saidAheadMinutes", record.saidAheadMinutes.map { Int($0) })
        out.field("seenAheadMinutes", record.seenAheadMinutes.map { Int($0) })
        out.field("count", record.count)
        out.field("p10Minutes", Int(record.p10.rounded()))
        out.field("p50Minutes", Int(record.p50.rounded()))
        out.field("p90Minutes", Int(record.p90.rounded()))
        if let loss = record.loss { out.share("loss", loss) }
        out.endLine()
        Console.write(out.bytes)
    }
}
