import Wire

/// Tells a hello that cannot be read from a line that cannot.
enum HelloCheck {
    /// The first line of an HTTP request: `POST / HTTP/1.1`.
    static func isWeb(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count > 10, bytes[0] >= 0x41, bytes[0] <= 0x5A else { return false }
        let words = String(decoding: bytes.suffix(12), as: UTF8.self).split(separator: " ")
        return words.last?.hasPrefix("HTTP/") == true
    }

    static let noWeb =
        "this is no web server: the feed takes one JSON object a line (see caravan push)"

    /// The same where its address is longer than a line may be.
    static func beginsAsWeb(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let words = String(decoding: bytes.prefix(16), as: UTF8.self).split(
            separator: " ", maxSplits: 1)
        guard words.count == 2, let verb = words.first, let target = words.last else {
            return false
        }
        return verb.allSatisfy { $0.isASCII && $0.isUppercase }
            && (target.hasPrefix("/") || target.hasPrefix("http") || target.hasPrefix("*"))
    }

    /// A consumer's request, at the wrong address.
    static func isTail(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count < 4_096, let object = FlatObject(Array(bytes)) else { return false }
        return object.text("tail") == "caravan/1"
    }

    static func isMeant(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count < 4_096 else { return false }
        guard let object = FlatObject(Array(bytes)) else {
            let head = String(decoding: bytes.prefix(64), as: UTF8.self).filter { !$0.isWhitespace }
            return head.hasPrefix("{\"hello\"")
        }
        return object.has("hello")
            && !["container", "event", "plan", "closure"].contains { object.has($0) }
    }
}
