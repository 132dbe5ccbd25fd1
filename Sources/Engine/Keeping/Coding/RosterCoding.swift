import Log
import Tracking

/// Enrolments of posts as bytes: all of them in a checkpoint, those that changed in the log.
enum RosterCoding {
    static let version: UInt8 = 1

    /// `knowsUnowned`: of a checkpoint, whether it holds events of when an id was nobody's.
    static func encode(_ posts: [PostEnrolment], knowsUnowned: Bool = false) -> [UInt8] {
        var out = TaggedEncoder()
        out.flag(2, knowsUnowned)
        for post in posts {
            out.message(1) { out in
                out.text(1, post.name)
                for place in post.places { out.text(2, place) }
                if let zone = post.zone { out.message(3) { encode(zone, &$0) } }
                for source in post.sources { out.text(4, source) }
                out.flag(5, post.isRevoked)
                out.flag(6, post.mayOperate)
                for correction in post.corrections {
                    out.message(7) { out in
                        out.signed(1, correction.minutes)
                        out.instant(2, correction.from)
                        if let until = correction.until { out.instant(3, until) }
                    }
                }
            }
        }
        return [version] + out.bytes
    }

    private static func encode(_ zone: ZoneRule, _ out: inout TaggedEncoder) {
        out.text(1, zone.name)
        out.signed(2, zone.offsetMinutes)
        out.instant(3, zone.changedAt)
        out.signed(4, zone.formerOffsetMinutes)
        out.flag(5, zone.europeanSummerTime)
    }

    static func decode(
        _ bytes: [UInt8]
    ) throws(CodingFlaw) -> (posts: [PostEnrolment], knowsUnowned: Bool) {
        var knowsUnowned = false
        var decoder = ByteDecoder(bytes)
        try FormatVersion.check(
            try decoder.byte(), "the enrolment of posts", oldest: 1, newest: version)
        var posts: [PostEnrolment] = []
        var reader = TaggedReader(decoder)
        while let field = try reader.next() {
            switch field.number {
            case 1: posts.append(try post(try reader.message(field)))
            case 2: knowsUnowned = try reader.flag(field)
            default: try reader.skip(field)
            }
        }
        return (posts, knowsUnowned)
    }

    private static func correction(
        _ fields: TaggedReader
    ) throws(CodingFlaw) -> ClockCorrection {
        var reader = fields
        var correction = ClockCorrection(minutes: 0, from: .unset, until: nil)
        while let field = try reader.next() {
            switch field.number {
            case 1: correction.minutes = Int(try reader.signed(field))
            case 2: correction.from = try reader.instant(field)
            case 3: correction.until = try reader.instant(field)
            default: try reader.skip(field)
            }
        }
        return correction
    }

    private static func post(_ fields: TaggedReader) throws(CodingFlaw) -> PostEnrolment {
        var reader = fields
        var post = PostEnrolment(name: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: post.name = try reader.text(field)
            case 2: post.places.append(try reader.text(field))
            case 3: post.zone = try zone(try reader.message(field))
            case 4: post.sources.append(try reader.text(field))
            case 5: post.isRevoked = try reader.flag(field)
            case 6: post.mayOperate = try reader.flag(field)
            case 7: post.corrections.append(try correction(try reader.message(field)))
            default: try reader.skip(field)
            }
        }
        return post
    }

    private static func zone(_ fields: TaggedReader) throws(CodingFlaw) -> ZoneRule {
        var reader = fields
        var zone = ZoneRule(name: "", offsetMinutes: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: zone.name = try reader.text(field)
            case 2: zone.offsetMinutes = Int(try reader.signed(field))
            case 3: zone.changedAt = try reader.instant(field)
            case 4: zone.formerOffsetMinutes = Int(try reader.signed(field))
            case 5: zone.europeanSummerTime = try reader.flag(field)
            default: try reader.skip(field)
            }
        }
        return zone
    }
}
