import Forecast
import Log
import Tracking

// Formats of schema 3 and before, without field numbers. They are read, never written.

extension ByteDecoder {
    mutating func instant() throws(CodingFlaw) -> Instant {
        switch try byte() {
        case 0: return .unset
        case 1: return .never
        default: return Instant(microseconds: try signed())
        }
    }

    mutating func double() throws(CodingFlaw) -> Double { Double(bitPattern: try fixed()) }

    mutating func code<C: RawRepresentable>(_ type: C.Type) throws(CodingFlaw) -> C
    where C.RawValue == UInt8 {
        let raw = try byte()
        guard let value = C(rawValue: raw) else {
            throw CodingFlaw("\(raw) is no \(type)")
        }
        return value
    }
}

/// A container's record of format 2.
enum EarlierRecord {
    /// The record, its journeys still without progress.
    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> ContainerRecord {
        var decoder = ByteDecoder(bytes)
        _ = try decoder.byte()
        var record = ContainerRecord(number: ContainerNumber(packed: try decoder.fixed()))
        var table: [UInt32] = []
        for _ in 0..<(try decoder.count()) {
            let text = try decoder.text()
            table.append(text.isEmpty ? 0 : symbols.number(text))
        }
        for _ in 0..<(try decoder.count()) {
            record.history.events.append(try event(&decoder, table))
        }
        for _ in 0..<(try decoder.count()) {
            record.history.superseded.append(
                SupersededVersion(
                    identity: Identity(high: try decoder.fixed(), low: try decoder.fixed()),
                    content: try decoder.fixed(), updated: try decoder.instant()))
        }
        for _ in 0..<(try decoder.count()) { record.plans.append(try symbol(&decoder, table)) }
        for _ in 0..<(try decoder.count()) {
            var journey = Journey(
                shipment: try symbol(&decoder, table),
                ordinal: UInt32(truncatingIfNeeded: try decoder.unsigned()))
            journey.publication = try publication(&decoder, table)
            record.journeys.append(journey)
        }
        guard decoder.isAtEnd else { throw CodingFlaw("bytes after the end of a journey") }
        return record
    }

    private static func symbol(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> UInt32 {
        let number = try decoder.number()
        guard number < table.count else { throw CodingFlaw("a text beyond the table") }
        return table[number]
    }

    private static func event(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> EventRecord {
        let identity = Identity(high: try decoder.fixed(), low: try decoder.fixed())
        let content = try decoder.fixed()
        let time = try decoder.instant()
        let updated = try decoder.instant()
        let place = try symbol(&decoder, table)
        let shipment = try symbol(&decoder, table)
        let code = try decoder.code(EventCode.self)
        let flags = try decoder.byte()
        guard let eventClass = EventClass(rawValue: flags & 3),
            let mode = TransportMode(rawValue: flags >> 2 & 7)
        else { throw CodingFlaw("an event of unknown class or mode") }
        return EventRecord(
            identity: identity, content: content, time: time, updated: updated, place: place,
            shipment: shipment, code: code, eventClass: eventClass, mode: mode,
            retracted: flags & 0x80 != 0)
    }

    private static func interval(
        _ decoder: inout ByteDecoder
    ) throws(CodingFlaw) -> IssuedInterval {
        IssuedInterval(
            horizon: try decoder.byte(), p50: try decoder.instant(),
            before: try decoder.float(), behind: try decoder.float())
    }

    private static func publication(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> Journey.Publication {
        var said = Journey.Publication()
        said.p10 = try decoder.instant()
        said.p50 = try decoder.instant()
        said.p90 = try decoder.instant()
        said.publishedAt = try decoder.instant()
        said.owedAt = try decoder.instant()
        said.reviewAt = try decoder.instant()
        said.overdueAt = try decoder.instant()
        said.holdUntil = try decoder.instant()
        said.lateVerdict = try decoder.byte() == 1
        said.furthest = Int(try decoder.signed())
        for _ in 0..<(try decoder.count()) { said.alerts.append(try alert(&decoder, table)) }
        for _ in 0..<(try decoder.count()) { said.path.append(try decoder.float()) }
        for _ in 0..<(try decoder.count()) {
            said.forecasts.append(try interval(&decoder))
        }
        if try decoder.count() == 1 {
            let next = try interval(&decoder)
            // It was stored in eight bits.
            said.next = AwaitedInterval(milestone: UInt32(next.horizon), next)
        }
        for _ in 0..<(try decoder.count()) { said.taught.append(try decoder.instant()) }
        return said
    }

    private static func alert(
        _ decoder: inout ByteDecoder, _ table: [UInt32]
    ) throws(CodingFlaw) -> AlertEpisode {
        let type = try decoder.code(AlertType.self)
        var alert = AlertEpisode(
            AlertKey(
                type, milestone: UInt32(clamping: try decoder.unsigned()),
                place: try symbol(&decoder, table), code: try decoder.code(EventCode.self)),
            episode: UInt32(clamping: try decoder.unsigned()), since: .unset)
        alert.rev = UInt32(clamping: try decoder.unsigned())
        alert.phase = try decoder.code(AlertEpisode.Phase.self)
        alert.severity = try decoder.code(Severity.self)
        alert.since = try decoder.instant()
        alert.evidence = UInt32(clamping: try decoder.unsigned())
        alert.delayMinutes = Int32(truncatingIfNeeded: try decoder.signed())
        alert.probability = try decoder.float()
        alert.confirmAt = try decoder.instant()
        alert.horizon = try decoder.byte()
        return alert
    }
}

/// A pool of format 2 (which knew no shares of the plan) or 3.
enum EarlierPool {
    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> (PoolKey, Pool, QueuePace) {
        var decoder = ByteDecoder(bytes)
        let format = try decoder.byte()
        var inner = ByteDecoder(try decoder.blob())
        func symbol(_ text: String) -> UInt32 { text.isEmpty ? 0 : symbols.number(text) }
        var key = PoolKey(
            level: try inner.code(PoolKey.Level.self), kind: try inner.code(StepKind.self),
            mode: try inner.code(TransportMode.self),
            direction: try inner.code(StepDirection.self),
            fromCode: try inner.code(EventCode.self), toCode: try inner.code(EventCode.self))
        key.plannedClass = Int16(truncatingIfNeeded: try inner.signed())
        key.fromPlace = symbol(try inner.text())
        key.toPlace = symbol(try inner.text())
        var values: [Float] = []
        for _ in 0..<(try decoder.count()) { values.append(try decoder.float()) }
        let head = try decoder.number()
        let pending = try decoder.number()
        let version = UInt32(truncatingIfNeeded: try decoder.unsigned())
        let drawn = try decoder.number()
        let curve = try self.curve(&decoder)
        let recent = try self.curve(&decoder)
        var longValues: [Float] = []
        for _ in 0..<(try decoder.count()) { longValues.append(try decoder.float()) }
        let long = try self.curve(&decoder)
        let skipped = try decoder.number()
        let memories = try memories(&decoder, spans: format > 2 ? HorizonWeights.spans : 3)
        var ended: [QueuePace.Passage] = []
        for _ in 0..<(try decoder.count()) {
            ended.append(
                QueuePace.Passage(start: try decoder.instant(), end: try decoder.instant()))
        }
        let flow = QueuePace(
            ended: ended, frontier: try decoder.instant(),
            level: Float(try decoder.signed()), pending: try decoder.number(),
            takenAt: try decoder.instant())
        guard head <= values.count, decoder.isAtEnd else { throw CodingFlaw("a pool is damaged") }
        let pool = Pool(
            values: values, head: head, curve: curve, recent: recent, longValues: longValues,
            long: long, skipped: skipped, memories: memories, pending: pending,
            version: version, drawn: drawn,
            places: key.level == .kind && curve != nil ? PoolCoding.unknownPlaces : 0)
        return (key, pool, flow)
    }

    private static func memories(
        _ decoder: inout ByteDecoder, spans: Int
    ) throws(CodingFlaw) -> HorizonWeights {
        func vector() throws(CodingFlaw) -> SIMD4<Float> {
            var vector = SIMD4<Float>.zero
            for span in 0..<spans { vector[span] = try decoder.float() }
            return vector
        }
        var past: [HorizonWeights.Medians] = []
        for _ in 0..<(try decoder.count()) {
            past.append(HorizonWeights.Medians(at: try decoder.instant(), minutes: try vector()))
        }
        var errors: [SIMD4<Float>] = []
        var counts: [Int] = []
        for _ in HorizonWeights.leadMinutes {
            errors.append(try vector())
            counts.append(try decoder.number())
        }
        var weights: [SIMD4<Float>] = []
        for _ in 0..<(try decoder.count()) { weights.append(try vector()) }
        return HorizonWeights(past: past, errors: errors, counts: counts, weights: weights)
    }

    private static func curve(_ decoder: inout ByteDecoder) throws(CodingFlaw) -> Curve? {
        guard try decoder.byte() == 1 else { return nil }
        var points: [Float] = []
        for _ in 0..<Curve.count { points.append(try decoder.float()) }
        return Curve(values: points)
    }
}

/// The scores as they stood behind the byte 0xFE.
enum EarlierScores {
    static func decode(
        _ bytes: [UInt8], _ symbols: inout Symbols
    ) throws(CodingFlaw) -> IntervalCalibrator {
        var decoder = ByteDecoder(bytes)
        _ = try decoder.byte()
        func tally() throws(CodingFlaw) -> IntervalCalibrator.Tally {
            var tally = IntervalCalibrator.Tally()
            tally.lower = Double(bitPattern: try decoder.fixed())
            tally.upper = Double(bitPattern: try decoder.fixed())
            tally.margin = Double(bitPattern: try decoder.fixed())
            tally.count = Int(truncatingIfNeeded: try decoder.unsigned())
            tally.covered = Int(truncatingIfNeeded: try decoder.unsigned())
            tally.widthMinutes = Double(bitPattern: try decoder.fixed())
            tally.errorMinutes = Double(bitPattern: try decoder.fixed())
            return tally
        }
        var intervals = IntervalCalibrator()
        intervals.scoredDay = try decoder.signed()
        for index in intervals.tallies.indices { intervals.tallies[index] = try tally() }
        for _ in 0..<(try decoder.count()) {
            let place = symbols.number(try decoder.text())
            intervals.places[place] = try tally()
        }
        for _ in 0..<(try decoder.count()) {
            let place = symbols.number(try decoder.text())
            intervals.steps[place] = try tally()
        }
        return intervals
    }
}

/// Alert rules of format 1 (which knew no limits) or 2.
enum EarlierRules {
    static func decode(_ bytes: [UInt8]) throws(CodingFlaw) -> AlertRules {
        var decoder = ByteDecoder(bytes)
        let version = try decoder.byte()
        var rules = AlertRules()
        rules.raiseProbability = try decoder.double()
        rules.clearProbability = try decoder.double()
        rules.clearShare = try decoder.double()
        rules.confirmEvents = Int(try decoder.double())
        rules.confirmMinutes = try decoder.double()
        rules.calmMinutes = try decoder.double()
        rules.publishIntervalSeconds = try decoder.double()
        rules.publishMinutes = try decoder.double()
        rules.publishShare = try decoder.double()
        rules.backlogMinutes = try decoder.double()
        rules.settleMinutes = try decoder.double()
        rules.futureHours = try decoder.double()
        for level in rules.levelMinutes.indices {
            rules.levelMinutes[level] = try decoder.double()
        }
        // What was taken in without limits is taken in again without them.
        rules.pastDays = 0
        rules.maxEvents = version > 1 ? Int(try decoder.signed()) : .max
        rules.maxPlans = version > 1 ? Int(try decoder.signed()) : .max
        rules.maxClosures = version > 1 ? Int(try decoder.signed()) : .max
        rules.maxWork = .max
        return rules
    }
}
