import Glibc

extension String {
    /// As printf(3) writes it.
    public init(format: String, _ values: any CVarArg...) {
        self.init(decoding: printed(format, values), as: UTF8.self)
    }
}

private func printed(_ format: String, _ values: [any CVarArg]) -> [UInt8] {
    var space = [CChar](repeating: 0, count: 512)
    let count = withVaList(values) { vsnprintf(&space, space.count, format, $0) }
    return space.prefix(max(0, min(Int(count), space.count - 1))).map { UInt8(bitPattern: $0) }
}

extension StringProtocol {
    /// Without white space at either end.
    public var trimmed: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest = rest.dropFirst() }
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return String(rest)
    }
}
