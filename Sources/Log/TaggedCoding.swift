/// Writes persisted values as numbered fields, so that they can change: a reader skips the fields
/// that it does not know and takes the default of those that are not there.
///
/// A field is its key (number << 2 | form, LEB128) and its value. Numbers are for ever: one that is
/// given up is never used again. A field that holds its default is left out.
public struct TaggedEncoder: Sendable {
    /// How a value is laid out: enough to skip one that is not known.
    public enum Form: UInt64, Sendable {
        case integer = 0
        case eight = 1
        case bytes = 2
        case four = 3
    }

    public private(set) var encoder = ByteEncoder()

    public init() {}

    public var bytes: [UInt8] { encoder.bytes }

    private mutating func key(_ number: Int, _ form: Form) {
        encoder.unsigned(UInt64(number) << 2 | form.rawValue)
    }

    // Of any integer, made for each where it is called: nearly all that is written are integers.
    @inlinable public mutating func unsigned(
        _ number: Int, _ value: some UnsignedInteger, default: UInt64 = 0
    ) {
        guard UInt64(value) != `default` else { return }
        integer(number, UInt64(value))
    }

    @inlinable public mutating func signed(
        _ number: Int, _ value: some SignedInteger, default: Int64 = 0
    ) {
        let wide = Int64(value)
        guard wide != `default` else { return }
        integer(number, ByteEncoder.zigzag(wide))
    }

    @usableFromInline mutating func integer(_ number: Int, _ value: UInt64) {
        key(number, .integer)
        encoder.unsigned(value)
    }

    public mutating func flag(_ number: Int, _ value: Bool) {
        unsigned(number, value ? 1 : UInt64(0))
    }

    public mutating func fixed(_ number: Int, _ value: UInt64) {
        guard value != 0 else { return }
        key(number, .eight)
        encoder.fixed(value)
    }

    public mutating func double(_ number: Int, _ value: Double, default: Double = 0) {
        guard value.bitPattern != `default`.bitPattern else { return }
        key(number, .eight)
        encoder.fixed(value.bitPattern)
    }

    public mutating func float(_ number: Int, _ value: Float) {
        guard value.bitPattern != 0 else { return }
        key(number, .four)
        encoder.float(value)
    }

    public mutating func blob(_ number: Int, _ value: [UInt8]) {
        key(number, .bytes)
        encoder.blob(value)
    }

    public mutating func text(_ number: Int, _ value: String) {
        key(number, .bytes)
        encoder.text(value)
    }

    /// A value with fields of its own.
    public mutating func message(_ number: Int, _ body: (inout TaggedEncoder) -> Void) {
        var inner = TaggedEncoder()
        body(&inner)
        blob(number, inner.bytes)
    }

    /// Many numbers in one field; none where there are none.
    public mutating func floats(_ number: Int, _ values: some Collection<Float>) {
        guard !values.isEmpty else { return }
        key(number, .bytes)
        encoder.count(values.count * 4)
        for value in values { encoder.float(value) }
    }

    public mutating func list(_ number: Int, _ values: some Collection<Int64>) {
        guard !values.isEmpty else { return }
        var inner = ByteEncoder()
        for value in values { inner.signed(value) }
        blob(number, inner.bytes)
    }
}

/// Reads what `TaggedEncoder` wrote, field by field.
///
///     while let field = try reader.next() {
///         switch field.number {
///         case 1: time = try reader.signed(field)
///         default: try reader.skip(field)
///         }
///     }
public struct TaggedReader: Sendable {
    public struct Field: Sendable {
        public let number: Int
        fileprivate let form: TaggedEncoder.Form
    }

    private var decoder: ByteDecoder

    public init(_ bytes: [UInt8]) { decoder = ByteDecoder(bytes) }

    public init(_ decoder: ByteDecoder) { self.decoder = decoder }

    /// The next field; nil at the end. Its value has to be read or skipped.
    public mutating func next() throws(CodingFlaw) -> Field? {
        if decoder.isAtEnd { return nil }
        let key = try decoder.unsigned()
        // Two bits have four values, and each is a form.
        let form = TaggedEncoder.Form(rawValue: key & 3) ?? .integer
        return Field(number: Int(truncatingIfNeeded: key >> 2), form: form)
    }

    private func demand(_ field: Field, _ form: TaggedEncoder.Form) throws(CodingFlaw) {
        guard field.form == form else {
            throw CodingFlaw("field \(field.number) is \(field.form), and \(form) was expected")
        }
    }

    public mutating func skip(_ field: Field) throws(CodingFlaw) {
        switch field.form {
        case .integer: _ = try decoder.unsigned()
        case .eight: _ = try decoder.fixed()
        case .bytes: _ = try decoder.blobRange()
        case .four: _ = try decoder.float()
        }
    }

    public mutating func unsigned(_ field: Field) throws(CodingFlaw) -> UInt64 {
        try demand(field, .integer)
        return try decoder.unsigned()
    }

    /// A number that fits `T`; one that is larger is the largest.
    public mutating func clamped<T: FixedWidthInteger>(
        _ field: Field, _ type: T.Type = T.self
    ) throws(CodingFlaw) -> T {
        T(clamping: try unsigned(field))
    }

    public mutating func signed(_ field: Field) throws(CodingFlaw) -> Int64 {
        try demand(field, .integer)
        return try decoder.signed()
    }

    public mutating func flag(_ field: Field) throws(CodingFlaw) -> Bool {
        try unsigned(field) != 0
    }

    public mutating func fixed(_ field: Field) throws(CodingFlaw) -> UInt64 {
        try demand(field, .eight)
        return try decoder.fixed()
    }

    public mutating func double(_ field: Field) throws(CodingFlaw) -> Double {
        Double(bitPattern: try fixed(field))
    }

    public mutating func float(_ field: Field) throws(CodingFlaw) -> Float {
        try demand(field, .four)
        return try decoder.float()
    }

    public mutating func blob(_ field: Field) throws(CodingFlaw) -> [UInt8] {
        try demand(field, .bytes)
        return try decoder.blob()
    }

    public mutating func text(_ field: Field) throws(CodingFlaw) -> String {
        try demand(field, .bytes)
        return try decoder.text()
    }

    /// The fields of a value within.
    public mutating func message(_ field: Field) throws(CodingFlaw) -> TaggedReader {
        try demand(field, .bytes)
        return TaggedReader(try decoder.part())
    }

    public mutating func floats(_ field: Field) throws(CodingFlaw) -> [Float] {
        try demand(field, .bytes)
        var inner = try decoder.part()
        var values: [Float] = []
        values.reserveCapacity(inner.left / 4)
        while !inner.isAtEnd { values.append(try inner.float()) }
        return values
    }

    public mutating func list(_ field: Field) throws(CodingFlaw) -> [Int64] {
        try demand(field, .bytes)
        var inner = try decoder.part()
        var values: [Int64] = []
        while !inner.isAtEnd { values.append(try inner.signed()) }
        return values
    }

    /// One of the values of an enumeration that is stored by its number.
    public mutating func code<C: RawRepresentable>(
        _ field: Field, _ type: C.Type = C.self
    ) throws(CodingFlaw) -> C where C.RawValue == UInt8 {
        let raw = try unsigned(field)
        guard let value = UInt8(exactly: raw).flatMap({ C(rawValue: $0) }) else {
            throw CodingFlaw("\(raw) is no \(type)")
        }
        return value
    }
}

/// The format of persisted values. A higher one means that an older program would misread them;
/// fields that are only added do not raise it.
public enum FormatVersion {
    /// Throws unless this program reads formats up to `newest`.
    public static func check(
        _ found: UInt8, _ what: String, oldest: UInt8, newest: UInt8
    ) throws(CodingFlaw) {
        if found > newest {
            throw CodingFlaw(
                "\(what) has format \(found), and this program reads up to \(newest): a later "
                    + "version of Caravan wrote it; install that or a newer one")
        }
        guard found >= oldest else {
            throw CodingFlaw("\(what) has format \(found), which nobody wrote")
        }
    }
}
