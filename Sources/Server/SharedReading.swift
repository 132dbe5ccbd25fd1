import NIOConcurrencyHelpers

/// One reading at a time, which all who ask meanwhile share.
final class SharedReading: Sendable {
    private let under = NIOLockedValueBox<Task<Bool, Never>?>(nil)

    func run(_ read: @escaping @Sendable () async -> Bool) async -> Bool {
        let reading = under.withLockedValue { under in
            if let under { return under }
            let made = Task {
                let isDone = await read()
                self.under.withLockedValue { $0 = nil }
                return isDone
            }
            under = made
            return made
        }
        return await reading.value
    }
}
