/// Spaces and hyphens as people and word processors write them.
public enum Separators {
    @inlinable public static func contains(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20, 0x09, 0xA0, 0x1680, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: true
        // What is not seen: what is copied from elsewhere brings it along.
        case 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x2064, 0x2066...0x2069, 0xFEFF: true
        case 0x2D, 0xAD, 0x2010...0x2015, 0x2212, 0xFE58, 0xFE63, 0xFF0D: true
        default: false
        }
    }
}

/// How places are spelled.
public enum PlaceSpelling {
    /// What is left of a spelling when case, spaces, hyphens and marks on letters do not count.
    public static func key(_ text: String) -> String {
        var isPlain = true
        for byte in text.utf8 where !(byte >= 0x41 && byte <= 0x5A || byte >= 0x30 && byte <= 0x39)
        {
            isPlain = false
            break
        }
        if isPlain { return text }
        var key = ""
        for scalar in text.uppercased().unicodeScalars {
            if Separators.contains(scalar) || isMark(scalar) { continue }
            let value = scalar.value
            if value < 0x80 {
                key.unicodeScalars.append(scalar)
            } else if value >= 0xFF01, value <= 0xFF5E,
                let narrow = Unicode.Scalar(value - 0xFEE0)
            {
                key.unicodeScalars.append(narrow)
            } else if let base = bases[scalar] {
                key += base
            } else if value < 0x300 || value > 0x36F {
                key.unicodeScalars.append(scalar)
            }
        }
        return key.uppercased()
    }

    /// Punctuation that names have, and that nobody types alike.
    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "_", ".", "'", "`", "´", "\u{2018}", "\u{2019}", "\u{2BC}", "\u{2B9}": true
        default: false
        }
    }

    /// A place that no network knows, as codes are written: five letters and digits that could be a
    /// UN/LOCODE without anything between them, anything else trimmed and with single spaces.
    public static func code(_ text: String) -> String {
        let compact = key(text)
        let bytes = Array(compact.utf8)
        let isLocode =
            bytes.count == 5 && bytes[0..<2].allSatisfy { $0 >= 0x41 && $0 <= 0x5A }
            && bytes[2...].allSatisfy { $0 >= 0x41 && $0 <= 0x5A || $0 >= 0x32 && $0 <= 0x39 }
        if isLocode { return compact }
        var code = ""
        var isApart = false
        for scalar in text.uppercased().unicodeScalars {
            if scalar != "-", Separators.contains(scalar), !isHyphen(scalar) {
                isApart = !code.isEmpty
                continue
            }
            if isApart { code += " " }
            isApart = false
            code.unicodeScalars.append(scalar)
        }
        return code.isEmpty ? text : code
    }

    private static func isHyphen(_ scalar: Unicode.Scalar) -> Bool {
        (0x2010...0x2015).contains(scalar.value) || scalar.value == 0x2212
            || scalar.value == 0xAD
    }

    /// Upper-case letters with marks, and what they are without them.
    private static let bases: [Unicode.Scalar: String] = {
        let groups: [(String, String)] = [
            ("A", "ÀÁÂÃÄÅĀĂĄ"), ("C", "ÇĆĈĊČ"), ("D", "ĎĐ"), ("E", "ÈÉÊËĒĔĖĘĚ"), ("G", "ĜĞĠĢ"),
            ("H", "ĤĦ"), ("I", "ÌÍÎÏĨĪĬĮİ"), ("J", "Ĵ"), ("K", "Ķ"), ("L", "ĹĻĽĿŁ"),
            ("N", "ÑŃŅŇ"), ("O", "ÒÓÔÕÖØŌŎŐ"), ("R", "ŔŖŘ"), ("S", "ŚŜŞŠȘ"), ("T", "ŢŤŦȚ"),
            ("U", "ÙÚÛÜŨŪŬŮŰŲ"), ("W", "Ŵ"), ("Y", "ÝŶŸ"), ("Z", "ŹŻŽ"), ("AE", "Æ"), ("OE", "Œ"),
            ("SS", "ẞ"),
        ]
        var table: [Unicode.Scalar: String] = [:]
        for (base, letters) in groups {
            for letter in letters.unicodeScalars { table[letter] = base }
        }
        return table
    }()
}

/// Letters of other alphabets that look like Latin ones (Unicode Technical Standard 39 calls them
/// confusable): a keyboard that was left in the other alphabet.
public enum LookAlike {
    private static let table: [Unicode.Scalar: (letter: Character, alphabet: String)] = {
        let groups: [(String, String, String)] = [
            ("Cyrillic", "АВСЕНІЈКМОРЅТХУѴԚԜ", "ABCEHIJKMOPSTXYVQW"),
            ("Cyrillic", "авсенікморѕтхуј", "ABCEHIKMOPSTXYJ"),
            ("Greek", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"),
            ("Greek", "αβεικνορτυχ", "ABEIKNOPTYX"),
            ("Arabic", "٠١٢٣٤٥٦٧٨٩", "0123456789"), ("Arabic", "۰۱۲۳۴۵۶۷۸۹", "0123456789"),
        ]
        var found: [Unicode.Scalar: (Character, String)] = [:]
        for (alphabet, foreign, latin) in groups {
            for (scalar, letter) in zip(foreign.unicodeScalars, latin) {
                found[scalar] = (letter, alphabet)
            }
        }
        return found
    }()

    /// The first such letter of a text: itself, the Latin one that it looks like, its alphabet and
    /// where it stands among the characters, from 1.
    public static func first(
        in text: String
    ) -> (foreign: Character, latin: Character, alphabet: String, position: Int)? {
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if let (letter, alphabet) = table[scalar] {
                return (Character(scalar), letter, alphabet, index + 1)
            }
        }
        return nil
    }

    /// `Cyrillic Т (U+0422) at 3 looks like the letter T`; nil where there is none.
    public static func words(about text: String) -> String? {
        guard let found = first(in: text), let scalar = found.foreign.unicodeScalars.first else {
            return nil
        }
        let digits = String(scalar.value, radix: 16, uppercase: true)
        let code = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return "\(found.alphabet) \(found.foreign) (\(code)) at \(found.position) looks like "
            + (found.latin.isNumber ? "the digit" : "the letter") + " \(found.latin)"
    }

    /// The text with each of them replaced.
    public static func latin(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            if let (letter, _) = table[scalar] {
                out.append(letter)
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}

/// Slips of the finger between two words.
public enum Slips {
    /// Letters that were changed, left out, put in or swapped with the next (restricted
    /// Damerau–Levenshtein distance); nil beyond `most`.
    public static func between(_ a: String, _ b: String, atMost most: Int) -> Int? {
        let a = Array(a.utf8.prefix(64))
        let b = Array(b.utf8.prefix(64))
        guard abs(a.count - b.count) <= most else { return nil }
        var before: [Int] = []
        var last = Array(0...b.count)
        for i in 1...max(a.count, 1) where i <= a.count {
            var row = [i]
            for j in 1...max(b.count, 1) where j <= b.count {
                let change = a[i - 1] == b[j - 1] ? 0 : 1
                var best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + change)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    best = min(best, before[j - 2] + 1)
                }
                row.append(best)
            }
            before = last
            last = row
        }
        let distance = last[b.count]
        return distance <= most ? distance : nil
    }
}
