import CLibPQ
import CShims
import Engine
import Glibc
import Host

/// A result that is cleared when it goes.
struct QueryResult: ~Copyable {
    let raw: OpaquePointer?

    deinit { PQclear(raw) }

    var status: ExecStatusType { PQresultStatus(raw) }
    var rows: Int { Int(PQntuples(raw)) }
    var sqlState: String? {
        PQresultErrorField(raw, caravan_pg_diag_sqlstate())
            .map { String(cString: $0) }
    }
    var message: String {
        PQresultErrorField(raw, caravan_pg_diag_primary()).map { String(cString: $0) }
            ?? String(cString: PQresultErrorMessage(raw))
    }

    func isNull(_ row: Int, _ column: Int) -> Bool {
        PQgetisnull(raw, Int32(row), Int32(column)) == 1
    }

    func bytes(_ row: Int, _ column: Int) -> UnsafeBufferPointer<UInt8> {
        let length = Int(PQgetlength(raw, Int32(row), Int32(column)))
        let start = UnsafeRawPointer(PQgetvalue(raw, Int32(row), Int32(column)))
        return UnsafeBufferPointer(
            start: start?.assumingMemoryBound(to: UInt8.self), count: length)
    }

    /// A binary int2, int4 or int8.
    func integer(_ row: Int, _ column: Int) -> Int64 {
        let raw = bytes(row, column)
        var value: Int64 = raw.first.map { $0 >= 0x80 ? -1 : 0 } ?? 0
        for byte in raw { value = value << 8 | Int64(byte) }
        return value
    }

    func text(_ row: Int, _ column: Int) -> String? {
        isNull(row, column) ? nil : String(decoding: bytes(row, column), as: UTF8.self)
    }
}

/// A parameter in PostgreSQL's binary form; nil is NULL.
struct Parameter {
    let bytes: [UInt8]?

    static func integer(_ value: Int) -> Parameter {
        Parameter(bytes: BinaryRow.bigEndian(Int64(value)))
    }

    static func text(_ value: String?) -> Parameter {
        Parameter(bytes: value.map { Array($0.utf8) })
    }

    static func bytes(_ value: [UInt8]?) -> Parameter { Parameter(bytes: value) }

    /// The text form of an array of texts; nil is NULL. For `$1::text::text[]`.
    static func list(_ texts: [String?]) -> Parameter {
        let quoted = texts.map { text in
            guard let text else { return "NULL" }
            // By bytes: with a mark that follows, a quote is another character.
            var quoted: [UInt8] = [0x22]
            for byte in text.utf8 {
                if byte == 0x22 || byte == 0x5C { quoted.append(0x5C) }
                quoted.append(byte)
            }
            return String(decoding: quoted + [0x22], as: UTF8.self)
        }
        return .text("{" + quoted.joined(separator: ",") + "}")
    }
}

/// One libpq connection, blocking; it never leaves the executor of its owner.
struct Connection: ~Copyable {
    let raw: OpaquePointer
    private let notices: Notices
    private let deadlineSeconds: Double

    /// What the server remarked since the last look: at COMMIT a warning means that the commit is
    /// not what it seems (a cancelled wait for a standby, for one).
    final class Notices {
        var warnings: [String] = []
    }

    /// libpq's own keywords keep a dead peer from being waited for: pending writes by
    /// tcp_user_timeout, idle waits by keepalives.
    static let safetyOptions = [
        "connect_timeout": "5", "keepalives_idle": "5", "keepalives_interval": "2",
        "keepalives_count": "3", "tcp_user_timeout": "10000",
        "target_session_attrs": "read-write", "application_name": "caravand",
        "options": "-c statement_timeout=60000 -c lock_timeout=12000 "
            + "-c client_min_messages=warning -c timezone=UTC -c bytea_output=hex",
    ]

    /// What the server is asked to do about a client that is gone or asleep in the middle of a
    /// transaction: its locks must not keep another daemon from taking over. Set after connecting,
    /// so that no `options` of the connection string can leave it out.
    static func serverSettings(idleSeconds: Int) -> String {
        """
        set idle_in_transaction_session_timeout = '\(idleSeconds)s';
        set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2;
        set tcp_keepalives_count = 3; set tcp_user_timeout = '10s'
        """
    }

    /// Connects by a libpq connection string or URI. What it says wins over `safetyOptions`.
    ///
    /// `deadlineSeconds`: longer than this no exchange may take. `idleSeconds`: a transaction that
    /// waits for this program longer than that is taken back by the server.
    init(
        _ conninfo: String, deadlineSeconds: Double = 60, idleSeconds: Int = 60
    ) throws(StoreFailure) {
        self.deadlineSeconds = deadlineSeconds
        let options = Connection.safetyOptions
        var keywords: [String] = options.keys.sorted()
        var values: [String] = keywords.map { options[$0] ?? "" }
        keywords.append("dbname")
        values.append(conninfo)
        // Behind the connection string, which cannot say otherwise: all that is sent is UTF-8.
        keywords.append("client_encoding")
        values.append("UTF8")
        let found = Connection.withCStrings(keywords) { keywords in
            Connection.withCStrings(values) { values in PQconnectdbParams(keywords, values, 1) }
        }
        guard let found else {
            throw StoreFailure(.unavailable, "connecting to PostgreSQL", "out of memory")
        }
        guard PQstatus(found) == CONNECTION_OK else {
            let cause = Connection.words(PQerrorMessage(found))
            PQfinish(found)
            throw StoreFailure(.unavailable, "connecting to PostgreSQL", cause)
        }
        let watch = QueryDeadline.shared.begin(PQsocket(found), seconds: deadlineSeconds)
        let settings = QueryResult(
            raw: PQexec(found, Connection.serverSettings(idleSeconds: idleSeconds)))
        QueryDeadline.shared.end(watch)
        guard settings.status == PGRES_COMMAND_OK else {
            let cause = Connection.words(PQerrorMessage(found))
            PQfinish(found)
            throw StoreFailure(.unavailable, "connecting to PostgreSQL", cause)
        }
        raw = found
        notices = Notices()
        PQsetNoticeReceiver(
            raw,
            { context, result in
                guard let context, let result else { return }
                let notices = Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue()
                let severity = PQresultErrorField(result, caravan_pg_diag_severity())
                guard let severity, String(cString: severity) == "WARNING" else { return }
                let text = PQresultErrorField(result, caravan_pg_diag_primary())
                notices.warnings.append(text.map { String(cString: $0) } ?? "")
            }, Unmanaged.passUnretained(notices).toOpaque())
    }

    deinit { PQfinish(raw) }

    static func withCStrings<R>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R
    ) -> R {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let pointers = copies.map { UnsafePointer($0) } + [nil]
        return pointers.withUnsafeBufferPointer {
            // The array ends in nil, so it is never empty.
            body($0.baseAddress.unsafelyUnwrapped)
        }
    }

    func watched<R>(_ body: () -> R) -> R {
        let number = QueryDeadline.shared.begin(PQsocket(raw), seconds: deadlineSeconds)
        defer { QueryDeadline.shared.end(number) }
        return body()
    }

    /// Warnings since the last call.
    func drainWarnings() -> [String] {
        defer { notices.warnings = [] }
        return notices.warnings
    }

    /// What libpq says, on one line.
    private static func words(_ message: UnsafePointer<CChar>?) -> String {
        guard let message else { return "no reason given" }
        return String(cString: message).split(whereSeparator: \.isNewline)
            .map { $0.trimmed }.joined(separator: "; ")
    }

    func failure(_ operation: String, _ answer: borrowing QueryResult) -> StoreFailure {
        let state = answer.sqlState
        if PQstatus(raw) != CONNECTION_OK || state == nil {
            return StoreFailure(
                .unavailable, operation, Connection.words(PQerrorMessage(raw)), state: state)
        }
        return StoreFailure(
            Connection.kind(of: state ?? ""), operation, answer.message, state: state)
    }

    /// Data errors (classes 22, 23) are the data's fault; CV001 is our own fence; what is
    /// missing or not allowed (42, 3F, 0A) its operator gives; the rest is tried again.
    static func kind(of state: String) -> StoreFailure.Kind {
        if state == "CV001" { return .fenced }
        switch state.prefix(2) {
        // P0: what a trigger of the operator's raises is about the row.
        case "22", "23", "P0": return .data
        case "42", "3F", "0A": return .unprepared
        default: return .unavailable
        }
    }

    /// Runs statements without parameters.
    func run(_ sql: String, _ operation: String) throws(StoreFailure) {
        let answer = QueryResult(raw: watched { PQexec(raw, sql) })
        switch answer.status {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return
        default: throw failure(operation, answer)
        }
    }

    func prepare(_ name: String, _ sql: String) throws(StoreFailure) {
        let answer = QueryResult(raw: watched { PQprepare(raw, name, sql, 0, nil) })
        guard answer.status == PGRES_COMMAND_OK else { throw failure("preparing \(name)", answer) }
    }

    /// Runs a prepared statement; parameters and results are binary.
    func execute(
        _ name: String, _ parameters: [Parameter] = []
    ) throws(StoreFailure) -> QueryResult {
        let answer = QueryResult(
            raw: Connection.withParameters(parameters) { values, lengths, formats in
                watched {
                    PQexecPrepared(
                        raw, name, Int32(parameters.count), values, lengths, formats, 1)
                }
            })
        switch answer.status {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return answer
        default: throw failure("running \(name)", answer)
        }
    }

    /// Runs one statement with parameters; results are binary.
    func query(
        _ sql: String, _ parameters: [Parameter] = [], _ operation: String
    ) throws(StoreFailure) -> QueryResult {
        let answer = QueryResult(
            raw: Connection.withParameters(parameters) { values, lengths, formats in
                watched {
                    PQexecParams(
                        raw, sql, Int32(parameters.count), nil, values, lengths, formats, 1)
                }
            })
        switch answer.status {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return answer
        default: throw failure(operation, answer)
        }
    }

    private static func withParameters(
        _ parameters: [Parameter],
        _ body: (
            UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> OpaquePointer?
    ) -> OpaquePointer? {
        // One run of bytes with a pointer into it for each parameter.
        var flat: [CChar] = []
        var offsets: [Int?] = []
        for parameter in parameters {
            offsets.append(parameter.bytes == nil ? nil : flat.count)
            flat += (parameter.bytes ?? []).map { CChar(bitPattern: $0) }
            flat.append(0)
        }
        let lengths = parameters.map { Int32($0.bytes?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: parameters.count)
        return flat.withUnsafeBufferPointer { buffer in
            let values = offsets.map { offset in
                offset.flatMap { offset in buffer.baseAddress.map { $0 + offset } }
            }
            return values.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        body(values.baseAddress, lengths.baseAddress, formats.baseAddress)
                    }
                }
            }
        }
    }

    /// Runs `sql`, which ends in one COPY … FROM STDIN for each of `parts`, and sends them.
    func copy(
        _ sql: String, _ parts: [[UInt8]], _ operation: String
    ) throws(StoreFailure) {
        var answer = QueryResult(raw: watched { PQexec(raw, sql) })
        for part in parts {
            guard answer.status == PGRES_COPY_IN else { throw failure(operation, answer) }
            let sent = watched { send(part) }
            answer = QueryResult(raw: watched { PQgetResult(raw) })
            guard sent, answer.status == PGRES_COMMAND_OK else {
                let failure = failure(operation, answer)
                drain()
                throw failure
            }
            answer = QueryResult(raw: watched { PQgetResult(raw) })
        }
        if answer.raw != nil { drain() }
    }

    private func send(_ rows: [UInt8]) -> Bool {
        rows.withUnsafeBytes { buffer -> Bool in
            var at = 0
            while at < buffer.count {
                let part = min(1 << 20, buffer.count - at)
                let start = buffer.baseAddress?.advanced(by: at)
                    .assumingMemoryBound(to: CChar.self)
                if PQputCopyData(raw, start, Int32(part)) != 1 { return false }
                at += part
            }
            return PQputCopyEnd(raw, nil) == 1
        }
    }

    func drain() {
        while let rest = PQgetResult(raw) { PQclear(rest) }
    }

    /// COMMIT; anything but a clean one leaves the outcome unknown.
    func commit() throws(StoreFailure) {
        _ = drainWarnings()
        let answer = QueryResult(raw: watched { PQexec(raw, "COMMIT") })
        guard answer.status == PGRES_COMMAND_OK else { throw failure("COMMIT", answer) }
        guard String(cString: PQcmdStatus(answer.raw)) == "COMMIT" else {
            throw StoreFailure(.unavailable, "COMMIT", "the transaction was rolled back")
        }
        let warnings = drainWarnings()
        guard warnings.isEmpty else {
            throw StoreFailure(
                .unavailable, "COMMIT", "with a warning: \(warnings.joined(separator: "; "))")
        }
    }
}

/// Builds rows for COPY … (FORMAT binary).
struct BinaryRow {
    static let signature: [UInt8] =
        [0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00]
        + [0, 0, 0, 0, 0, 0, 0, 0]
    /// PostgreSQL counts timestamps from 2000-01-01.
    static let epochMicroseconds: Int64 = 946_684_800_000_000

    var bytes: [UInt8]

    init(reserving capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity + 32)
        bytes += BinaryRow.signature
    }

    static func bigEndian(_ value: Int64) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    mutating func begin(_ fields: Int16) { append(fields) }

    mutating func finish() { append(Int16(-1)) }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func null() { append(Int32(-1)) }

    mutating func int8(_ value: Int64) {
        append(Int32(8))
        append(value)
    }

    mutating func int4(_ value: Int32) {
        append(Int32(4))
        append(value)
    }

    mutating func int2(_ value: Int16?) {
        guard let value else { return null() }
        append(Int32(2))
        append(value)
    }

    mutating func bool(_ value: Bool) {
        append(Int32(1))
        bytes.append(value ? 1 : 0)
    }

    mutating func time(_ microseconds: Int64) { int8(microseconds - BinaryRow.epochMicroseconds) }

    mutating func text(_ value: String?) {
        guard var value else { return null() }
        value.withUTF8 {
            append(Int32($0.count))
            bytes.append(contentsOf: $0)
        }
    }

    /// nil for "".
    mutating func textOrNull(_ value: String) { value.isEmpty ? null() : text(value) }

    mutating func blob(_ value: [UInt8]) {
        append(Int32(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func uuid(_ high: UInt64, _ low: UInt64) {
        append(Int32(16))
        append(high)
        append(low)
    }

    mutating func ascii(_ value: UnsafeBufferPointer<UInt8>) {
        append(Int32(value.count))
        bytes.append(contentsOf: value)
    }
}
