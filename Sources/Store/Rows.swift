import Engine
import Tracking
import Wire

/// How the log's rows go over the wire: the COPY statements and their binary rows, side by side.
public enum Rows {
    static let batchCopy = """
        COPY batch (recorded_at, batch, stepped_at, entries, outputs, last_seq, lines) \
        FROM STDIN (FORMAT binary)
        """
    static let eventCopy = """
        COPY event (received_at, batch, line, container, identity, id, event, class, mode, place, \
        occurred_at, offset_minutes, updated, shipment, reason, retract, post, source) \
        FROM STDIN (FORMAT binary)
        """
    static let outputCopy = """
        COPY output (recorded_at, seq, kind, type, severity, container, shipment, place, body) \
        FROM STDIN (FORMAT binary)
        """
    static let quarantineCopy = """
        COPY quarantine (batch, item, received_at, post, stream, code, field, detail, bytes, \
        length, hash) FROM STDIN (FORMAT binary)
        """

    static let chainCopy = """
        COPY output_chain (batch, first_seq, last_seq, hash) FROM STDIN (FORMAT binary)
        """

    /// The statements of one transaction and the rows for each COPY in them.
    static func transaction(
        _ commit: Commit, link: [UInt8]? = nil, recordedAt: Instant
    ) -> (sql: String, parts: [[UInt8]]) {
        var sql = "BEGIN; " + batchCopy
        var parts = [batch(commit, recordedAt)]
        if !commit.events.isEmpty {
            sql += "; " + eventCopy
            parts.append(events(commit.events[...], commit.batch, recordedAt))
        }
        if !commit.outputs.isEmpty {
            sql += "; " + outputCopy
            parts.append(outputs(commit.outputs[...], recordedAt, without: commit.unstored))
        }
        if !commit.quarantined.isEmpty {
            sql += "; " + quarantineCopy
            parts.append(quarantine(commit.quarantined[...], commit.batch, recordedAt))
        }
        if let link {
            sql += "; " + chainCopy
            parts.append(chain(commit, link))
        }
        return (sql, parts)
    }

    private static func chain(_ commit: Commit, _ link: [UInt8]) -> [UInt8] {
        var row = BinaryRow(reserving: 96)
        row.begin(4)
        row.int8(Int64(commit.batch))
        row.int8(Int64(commit.lastSeq - commit.outputs.count + 1))
        row.int8(Int64(commit.lastSeq))
        row.blob(link)
        row.finish()
        return row.bytes
    }

    private static func batch(_ commit: Commit, _ recordedAt: Instant) -> [UInt8] {
        var row = BinaryRow(reserving: commit.blob.count + 128)
        row.begin(7)
        row.time(recordedAt.microseconds)
        row.int8(Int64(commit.batch))
        row.time(commit.now.microseconds)
        row.int4(Int32(commit.entries))
        row.int4(Int32(commit.outputs.count))
        row.int8(Int64(commit.lastSeq))
        row.blob(commit.blob)
        row.finish()
        return row.bytes
    }

    static func events(
        _ events: ArraySlice<EventRow>, _ batch: Int, _ recordedAt: Instant
    ) -> [UInt8] {
        var row = BinaryRow(reserving: events.count * 220)
        for stored in events {
            let event = stored.event
            row.begin(18)
            row.time(recordedAt.microseconds)
            row.int8(Int64(batch))
            row.int4(Int32(stored.line))
            event.container.withASCII { row.ascii($0) }
            row.uuid(event.identity.high, event.identity.low)
            row.text(event.id)
            row.text(event.code.code)
            row.text(event.eventClass.code)
            row.textOrNull(event.mode.code)
            row.textOrNull(stored.place)
            if event.time == .unset { row.null() } else { row.time(event.time.microseconds) }
            row.int2(event.time == .unset ? nil : event.offsetMinutes)
            if let updated = event.updated { row.time(updated.microseconds) } else { row.null() }
            row.text(event.shipment)
            row.text(event.reason)
            row.bool(event.retract)
            row.textOrNull(stored.post)
            row.text(event.source)
        }
        row.finish()
        return row.bytes
    }

    static func outputs(
        _ outputs: ArraySlice<OutputLine>, _ recordedAt: Instant, without left: Set<Int> = []
    ) -> [UInt8] {
        var row = BinaryRow(reserving: outputs.count * 600)
        for (line, index) in zip(outputs, outputs.indices) where !left.contains(index) {
            row.begin(9)
            row.time(recordedAt.microseconds)
            row.int8(Int64(line.seq))
            row.text(line.kind)
            row.text(line.type)
            row.int2(line.severity.map { Int16($0.rawValue) })
            row.text(line.container)
            row.text(line.shipment)
            row.text(line.place)
            row.blob(line.bytes)
        }
        row.finish()
        return row.bytes
    }

    static func quarantine(
        _ quarantined: ArraySlice<QuarantineRow>, _ batch: Int, _ recordedAt: Instant
    ) -> [UInt8] {
        var row = BinaryRow(reserving: quarantined.count * 400)
        for refused in quarantined {
            row.begin(11)
            row.int8(Int64(batch))
            row.int4(Int32(refused.item))
            row.time(recordedAt.microseconds)
            row.textOrNull(refused.origin.post)
            row.textOrNull(refused.origin.stream)
            row.text(refused.reject.code.rawValue)
            row.text(refused.reject.field.map(clean))
            row.text(clean(refused.reject.detail))
            row.blob(refused.bytes)
            row.int8(Int64(refused.length))
            if let hash = refused.hash { row.int8(Int64(bitPattern: hash)) } else { row.null() }
        }
        row.finish()
        return row.bytes
    }

    /// Marks as new rows, to find those that are not taken.
    static let markCopy = "COPY mark_probe (post, stream, seq, batch) FROM STDIN (FORMAT binary)"

    static func marks(_ marks: ArraySlice<StreamMark>, _ batch: Int) -> [UInt8] {
        var row = BinaryRow(reserving: marks.count * 80)
        for mark in marks {
            row.begin(4)
            row.text(mark.origin.post)
            row.text(mark.origin.stream)
            row.int8(mark.seq)
            row.int8(Int64(batch))
        }
        row.finish()
        return row.bytes
    }

    /// No database text can hold NUL.
    private static func clean(_ text: String) -> String {
        text.utf8.contains(0) ? String(text.filter { $0 != "\0" }) : text
    }

    static let journeyCopy =
        "COPY journey_new (container, batch, live, state) FROM STDIN (FORMAT binary)"
    static let shipmentCopy =
        "COPY shipment_new (shipment, batch, received_at, line, reading) FROM STDIN (FORMAT binary)"
    static let poolCopy = "COPY pool_new (key, batch, state) FROM STDIN (FORMAT binary)"

    static func journeys(_ rows: [Checkpoint.JourneyRow], batch: Int) -> [UInt8] {
        var out = BinaryRow(reserving: rows.count * 700)
        for row in rows {
            out.begin(4)
            out.text(row.container)
            out.int8(Int64(batch))
            out.bool(row.live)
            out.blob(row.state)
        }
        out.finish()
        return out.bytes
    }

    static func lines(_ lines: [SourceLine], batch: Int) -> [UInt8] {
        var out = BinaryRow(reserving: lines.count * 400)
        for line in lines {
            out.begin(5)
            out.text(line.key)
            out.int8(Int64(batch))
            out.time(line.received.microseconds)
            out.blob(line.line)
            out.blob(line.reading)
        }
        out.finish()
        return out.bytes
    }

    static func pools(_ rows: [Checkpoint.PoolRow], batch: Int) -> [UInt8] {
        var out = BinaryRow(reserving: rows.count * 1_600)
        for row in rows {
            out.begin(3)
            out.blob(row.key)
            out.int8(Int64(batch))
            out.blob(row.state)
        }
        out.finish()
        return out.bytes
    }
}
