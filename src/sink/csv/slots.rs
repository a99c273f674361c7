//! Where the cells of some rows wait, a column at a time, before they are put together as lines.
//!
//! A slot is as wide as nearly every cell, so that cells are written and copied as whole words whatever their length,
//! and a column of them is one loop without a look at anything else. What is longer stands aside.

/// Bytes of a slot.
pub(super) const SLOT: usize = 32;

/// A cell, from its first byte; what is behind its length is anything.
pub(super) type Slot = [u8; SLOT];

/// The length of a cell that is put aside; the slot says where.
pub(super) const ASIDE: u8 = 254;

/// The length of a text that its column has to be asked for: a long one, or one with quotes.
pub(super) const WHOLE: u8 = 255;

/// The cells of consecutive rows of a column.
pub(super) struct Room<'r> {
    pub(super) slots: &'r mut [Slot],
    /// The bytes of each, up to [`SLOT`], or what says where they are.
    pub(super) lens: &'r mut [u8],
    /// Cells that are longer, of all columns.
    pub(super) aside: &'r mut Vec<u8>,
}

impl Room<'_> {
    /// Makes `cell` the cell of the `i`-th row.
    #[expect(clippy::cast_possible_truncation, reason = "up to 32")]
    pub(super) fn put(&mut self, i: usize, cell: &[u8]) {
        if let Some(slot) = self.slots[i].get_mut(..cell.len()) {
            slot.copy_from_slice(cell);
            self.lens[i] = cell.len() as u8;
        } else {
            self.slots[i][..8].copy_from_slice(&self.aside.len().to_le_bytes());
            self.slots[i][8..16].copy_from_slice(&cell.len().to_le_bytes());
            self.lens[i] = ASIDE;
            self.aside.extend_from_slice(cell);
        }
    }

    /// The bytes of the `i`-th cell, unless its column has to be asked.
    pub(super) fn cell(&self, i: usize) -> Option<&[u8]> {
        match self.lens[i] {
            WHOLE => None,
            ASIDE => Some(aside_at(&self.slots[i], self.aside)),
            len => Some(&self.slots[i][..usize::from(len)]),
        }
    }
}

/// The cell that `slot` says is aside.
pub(super) fn aside_at<'a>(slot: &Slot, aside: &'a [u8]) -> &'a [u8] {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&slot[at..at + 8]);
        usize::from_le_bytes(bytes)
    };
    let (start, len) = (number(0), number(8));
    aside.get(start..start.saturating_add(len)).unwrap_or_default()
}

/// What writes the cells of a column.
pub(super) trait Fill {
    /// Fills `room` with the cells of the rows from `first`. The cell of a null may be anything.
    fn fill(&mut self, first: usize, room: &mut Room<'_>);

    /// The text of a row whose cell is [`WHOLE`].
    fn text(&self, _row: usize) -> &[u8] {
        &[]
    }
}

/// A column whose every value fits, by what writes one and returns its length.
pub(super) struct Values<'a, T, F> {
    pub(super) values: &'a [T],
    pub(super) write: F,
}

impl<T: Copy, F: FnMut(T, &mut Slot) -> usize> Fill for Values<'_, T, F> {
    #[expect(clippy::cast_possible_truncation, reason = "up to 32")]
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let values = self.values.get(first..).unwrap_or_default();
        for ((value, slot), len) in values.iter().zip(room.slots.iter_mut()).zip(room.lens.iter_mut()) {
            *len = (self.write)(*value, slot) as u8;
        }
    }
}

/// A column by what appends the value of a row.
pub(super) struct Rows<F> {
    pub(super) write: F,
}

impl<F: FnMut(usize, &mut Vec<u8>)> Fill for Rows<F> {
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let mut cell = Vec::new();
        for i in 0..room.lens.len() {
            cell.clear();
            (self.write)(first + i, &mut cell);
            room.put(i, &cell);
        }
    }
}
