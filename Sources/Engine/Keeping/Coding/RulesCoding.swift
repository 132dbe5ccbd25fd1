import Log
import Tracking

/// Alert rules as bytes.
public enum RulesCoding {
    /// Formats 1 and 2 had no field numbers (`EarlierRules`).
    static let version: UInt8 = 3

    public static func encode(_ rules: AlertRules) -> [UInt8] {
        var out = TaggedEncoder()
        let standard = AlertRules()
        for (index, at) in doubles.enumerated() {
            out.double(index + 1, rules[keyPath: at], default: standard[keyPath: at])
        }
        // As with the limits: what was taken in without a bound is taken in again without it.
        out.double(12, rules.pastDays)
        out.signed(20, rules.confirmEvents, default: Int64(standard.confirmEvents))
        for (index, minutes) in rules.levelMinutes.enumerated() { out.double(21 + index, minutes) }
        // What was taken in without a limit is taken in again without it.
        for (index, at) in limits.enumerated() {
            out.signed(30 + index, rules[keyPath: at], default: .max)
        }
        // A log of before there was a choice said more, and is read again by what is in force now.
        out.double(13, rules.publishWorth, default: standard.publishWorth)
        out.double(14, rules.publishBorderWorth, default: standard.publishBorderWorth)
        out.flag(15, rules.publishEvery)
        out.flag(16, rules.publishMilestones)
        return [version] + out.bytes
    }

    /// Their places are their numbers from 1.
    private static let doubles: [any WritableKeyPath<AlertRules, Double> & Sendable] = [
        \.raiseProbability, \.clearProbability, \.clearShare, \.confirmMinutes, \.calmMinutes,
        \.publishIntervalSeconds, \.publishMinutes, \.publishShare, \.backlogMinutes,
        \.settleMinutes, \.futureHours,
    ]

    /// Their places are their numbers from 30.
    private static let limits: [any WritableKeyPath<AlertRules, Int> & Sendable] = [
        \.maxEvents, \.maxPlans, \.maxClosures, \.maxWork,
    ]

    public static func decode(_ bytes: [UInt8]) throws(CodingFlaw) -> AlertRules {
        var decoder = ByteDecoder(bytes)
        let format = try decoder.byte()
        try FormatVersion.check(format, "the alert rules", oldest: 1, newest: version)
        if format < 3 { return try EarlierRules.decode(bytes) }
        var rules = AlertRules()
        for at in limits { rules[keyPath: at] = .max }
        rules.pastDays = 0
        var reader = TaggedReader(decoder)
        while let field = try reader.next() {
            switch field.number {
            case 1...doubles.count:
                rules[keyPath: doubles[field.number - 1]] = try reader.double(field)
            case 12: rules.pastDays = try reader.double(field)
            case 13: rules.publishWorth = try reader.double(field)
            case 14: rules.publishBorderWorth = try reader.double(field)
            case 15: rules.publishEvery = try reader.flag(field)
            case 16: rules.publishMilestones = try reader.flag(field)
            case 20: rules.confirmEvents = Int(try reader.signed(field))
            case 21..<(21 + rules.levelMinutes.count):
                rules.levelMinutes[field.number - 21] = try reader.double(field)
            case 30..<(30 + limits.count):
                rules[keyPath: limits[field.number - 30]] = Int(try reader.signed(field))
            default: try reader.skip(field)
            }
        }
        return rules
    }
}
