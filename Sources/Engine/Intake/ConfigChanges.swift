import Log
import Tracking
import Wire

/// What changes how everything after it is decided: part of the log, no side door.
extension Engine {
    mutating func apply(_ change: ConfigChange, _ draft: inout Draft) {
        switch change {
        case .network(let loaded):
            guard loaded.bytes != networkBytes else { return }
            loaded.bytes.withUnsafeBufferPointer {
                _ = draft.blob.append(.network, Origin(), $0)
            }
            install(loaded.network, loaded.bytes)
            for slot in register.slots.values.sorted(by: {
                register.records[$0].number < register.records[$1].number
            }) {
                draft.touch(slot) { $0.planChanged = true }
            }
        case .rules(let rules):
            guard rules != self.rules || batch == 0 else { return }
            let bytes = RulesCoding.encode(rules)
            bytes.withUnsafeBufferPointer { _ = draft.blob.append(.rules, Origin(), $0) }
            install(rules)
        case .posts(let posts):
            let changed = posts.filter { intake.roster[$0.name] != $0 }.sorted { $0.name < $1.name }
            guard !changed.isEmpty else { return }
            let bytes = RosterCoding.encode(changed)
            bytes.withUnsafeBufferPointer { _ = draft.blob.append(.posts, Origin(), $0) }
            install(changed, &draft)
        }
    }

    mutating func install(_ network: Network, _ bytes: [UInt8]) {
        for slot in register.slots.values.sorted() { forgetLessons(slot) }
        self.network = network
        networkBytes = bytes
        intake.spellings = [:]
        ways = Ways(network: network)
        for symbol in register.shipments.symbols {
            guard let old = register.shipments[symbol] else { continue }
            register.shipments[symbol] = Shipment(
                plan: old.own, old.reading, received: old.received, &ways, &register.symbols,
                &forecasting.pools)
        }
        rebuildWindows()
        configDirty = true
    }

    mutating func install(_ rules: AlertRules) {
        self.rules = rules
        configDirty = true
    }

    private mutating func install(_ posts: [PostEnrolment], _ draft: inout Draft) {
        var corrected: Set<UInt32> = []
        for post in posts {
            if intake.roster[post.name]?.corrections ?? [] != post.corrections {
                corrected.insert(register.symbols.number(post.name))
            }
            intake.roster.put(post)
        }
        configDirty = true
        beginCorrecting(corrected, &draft)
    }
}
