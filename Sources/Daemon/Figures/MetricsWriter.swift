import Wire

/// Writes figures in the text form that Prometheus and its kin read: one per line.
struct MetricsWriter {
    private(set) var text = ""

    mutating func gauge(_ name: String, _ help: String, _ value: some CustomStringConvertible) {
        head(name, "gauge", help)
        line(name, [:], value)
    }

    mutating func counter(_ name: String, _ help: String, _ value: some CustomStringConvertible) {
        head(name, "counter", help)
        line(name, [:], value)
    }

    mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func line(
        _ name: String, _ labels: KeyValuePairs<String, String>,
        _ value: some CustomStringConvertible
    ) {
        let inner = labels.map { "\($0)=\"\(MetricsWriter.escaped($1))\"" }.joined(separator: ",")
        text += inner.isEmpty ? "\(name) \(value)\n" : "\(name){\(inner)} \(value)\n"
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, "histogram", help)
        var count = 0
        for (bound, inBucket) in zip(histogram.bounds, histogram.counts) {
            count += inBucket
            let whole = bound == bound.rounded() ? "\(Int(bound))" : "\(bound)"
            line(name + "_bucket", ["le": whole], count)
        }
        count += histogram.counts.last ?? 0
        line(name + "_bucket", ["le": "+Inf"], count)
        line(name + "_sum", [:], histogram.sum)
        line(name + "_count", [:], count)
    }

    /// A label's value, by its bytes: a quote, a backslash and an LF are escaped as the form has it,
    /// and no other control character goes out as it is.
    static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in Printable.text(text, keepingLineFeeds: true).unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
