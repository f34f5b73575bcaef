/* SPDX-License-Identifier: MIT */
/*
 * dsdt.asl - the PC for ACPI: PCI host and its windows, interrupt routing of the PIIX3, ISA
 * devices, soft off. Compiled into dsdt_aml.h by scripts/dsdt.sh; a test compares the two.
 *
 * PRES is patched by acpi.c: bit 0 COM1, 1 COM2, 2 floppy controller, 3 HPET, 4 8042,
 * 5 the PCI window above 4 GiB.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 1, "WEIR", "WEIRPC", 0x00000001)
{
    Name (PRES, 0x12345678)
    Name (PICF, Zero)
    Method (_PIC, 1) { Store (Arg0, PICF) }

    // PIIX4: sleep type 0 is soft off.
    Name (\_S5, Package (4) { Zero, Zero, Zero, Zero })

    Scope (\_SB)
    {
        Processor (CPU0, 0, 0, 0) {}

        Method (STAP, 1)
        {
            If (And (PRES, Arg0)) { Return (0x0F) }
            Return (Zero)
        }

        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (CRSL, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0, 0xFF, 0, 0x100)
                IO (Decode16, 0xCF8, 0xCF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0, 0xCF7, 0, 0xCF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xD00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable,
                    ReadWrite, 0, 0xA0000, 0xBFFFF, 0, 0x20000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
            })
            // With the window above 4 GiB, which acpi.c patches; old systems do not like to see it.
            Name (CRSH, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0, 0xFF, 0, 0x100)
                IO (Decode16, 0xCF8, 0xCF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0, 0xCF7, 0, 0xCF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xD00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable,
                    ReadWrite, 0, 0xA0000, 0xBFFFF, 0, 0x20000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable,
                    ReadWrite, 0, 0x100000000, 0x4FFFFFFFF, 0, 0x400000000)
            })
            Method (_CRS, 0)
            {
                If (And (PRES, 0x20)) { Return (CRSH) }
                Return (CRSL)
            }

            // INTx of (slot, pin) is PIRQ (slot + pin - 1) & 3, pin 0 = INTA. Slot 1 INTA is
            // the power management function, wired to the SCI.
            Name (_PRT, Package (128)
            {
                Package (4) { 0x0000FFFF, 0, LNKD, 0 },
                Package (4) { 0x0000FFFF, 1, LNKA, 0 },
                Package (4) { 0x0000FFFF, 2, LNKB, 0 },
                Package (4) { 0x0000FFFF, 3, LNKC, 0 },
                Package (4) { 0x0001FFFF, 0, LNKS, 0 },
                Package (4) { 0x0001FFFF, 1, LNKB, 0 },
                Package (4) { 0x0001FFFF, 2, LNKC, 0 },
                Package (4) { 0x0001FFFF, 3, LNKD, 0 },
                Package (4) { 0x0002FFFF, 0, LNKB, 0 },
                Package (4) { 0x0002FFFF, 1, LNKC, 0 },
                Package (4) { 0x0002FFFF, 2, LNKD, 0 },
                Package (4) { 0x0002FFFF, 3, LNKA, 0 },
                Package (4) { 0x0003FFFF, 0, LNKC, 0 },
                Package (4) { 0x0003FFFF, 1, LNKD, 0 },
                Package (4) { 0x0003FFFF, 2, LNKA, 0 },
                Package (4) { 0x0003FFFF, 3, LNKB, 0 },
                Package (4) { 0x0004FFFF, 0, LNKD, 0 },
                Package (4) { 0x0004FFFF, 1, LNKA, 0 },
                Package (4) { 0x0004FFFF, 2, LNKB, 0 },
                Package (4) { 0x0004FFFF, 3, LNKC, 0 },
                Package (4) { 0x0005FFFF, 0, LNKA, 0 },
                Package (4) { 0x0005FFFF, 1, LNKB, 0 },
                Package (4) { 0x0005FFFF, 2, LNKC, 0 },
                Package (4) { 0x0005FFFF, 3, LNKD, 0 },
                Package (4) { 0x0006FFFF, 0, LNKB, 0 },
                Package (4) { 0x0006FFFF, 1, LNKC, 0 },
                Package (4) { 0x0006FFFF, 2, LNKD, 0 },
                Package (4) { 0x0006FFFF, 3, LNKA, 0 },
                Package (4) { 0x0007FFFF, 0, LNKC, 0 },
                Package (4) { 0x0007FFFF, 1, LNKD, 0 },
                Package (4) { 0x0007FFFF, 2, LNKA, 0 },
                Package (4) { 0x0007FFFF, 3, LNKB, 0 },
                Package (4) { 0x0008FFFF, 0, LNKD, 0 },
                Package (4) { 0x0008FFFF, 1, LNKA, 0 },
                Package (4) { 0x0008FFFF, 2, LNKB, 0 },
                Package (4) { 0x0008FFFF, 3, LNKC, 0 },
                Package (4) { 0x0009FFFF, 0, LNKA, 0 },
                Package (4) { 0x0009FFFF, 1, LNKB, 0 },
                Package (4) { 0x0009FFFF, 2, LNKC, 0 },
                Package (4) { 0x0009FFFF, 3, LNKD, 0 },
                Package (4) { 0x000AFFFF, 0, LNKB, 0 },
                Package (4) { 0x000AFFFF, 1, LNKC, 0 },
                Package (4) { 0x000AFFFF, 2, LNKD, 0 },
                Package (4) { 0x000AFFFF, 3, LNKA, 0 },
                Package (4) { 0x000BFFFF, 0, LNKC, 0 },
                Package (4) { 0x000BFFFF, 1, LNKD, 0 },
                Package (4) { 0x000BFFFF, 2, LNKA, 0 },
                Package (4) { 0x000BFFFF, 3, LNKB, 0 },
                Package (4) { 0x000CFFFF, 0, LNKD, 0 },
                Package (4) { 0x000CFFFF, 1, LNKA, 0 },
                Package (4) { 0x000CFFFF, 2, LNKB, 0 },
                Package (4) { 0x000CFFFF, 3, LNKC, 0 },
                Package (4) { 0x000DFFFF, 0, LNKA, 0 },
                Package (4) { 0x000DFFFF, 1, LNKB, 0 },
                Package (4) { 0x000DFFFF, 2, LNKC, 0 },
                Package (4) { 0x000DFFFF, 3, LNKD, 0 },
                Package (4) { 0x000EFFFF, 0, LNKB, 0 },
                Package (4) { 0x000EFFFF, 1, LNKC, 0 },
                Package (4) { 0x000EFFFF, 2, LNKD, 0 },
                Package (4) { 0x000EFFFF, 3, LNKA, 0 },
                Package (4) { 0x000FFFFF, 0, LNKC, 0 },
                Package (4) { 0x000FFFFF, 1, LNKD, 0 },
                Package (4) { 0x000FFFFF, 2, LNKA, 0 },
                Package (4) { 0x000FFFFF, 3, LNKB, 0 },
                Package (4) { 0x0010FFFF, 0, LNKD, 0 },
                Package (4) { 0x0010FFFF, 1, LNKA, 0 },
                Package (4) { 0x0010FFFF, 2, LNKB, 0 },
                Package (4) { 0x0010FFFF, 3, LNKC, 0 },
                Package (4) { 0x0011FFFF, 0, LNKA, 0 },
                Package (4) { 0x0011FFFF, 1, LNKB, 0 },
                Package (4) { 0x0011FFFF, 2, LNKC, 0 },
                Package (4) { 0x0011FFFF, 3, LNKD, 0 },
                Package (4) { 0x0012FFFF, 0, LNKB, 0 },
                Package (4) { 0x0012FFFF, 1, LNKC, 0 },
                Package (4) { 0x0012FFFF, 2, LNKD, 0 },
                Package (4) { 0x0012FFFF, 3, LNKA, 0 },
                Package (4) { 0x0013FFFF, 0, LNKC, 0 },
                Package (4) { 0x0013FFFF, 1, LNKD, 0 },
                Package (4) { 0x0013FFFF, 2, LNKA, 0 },
                Package (4) { 0x0013FFFF, 3, LNKB, 0 },
                Package (4) { 0x0014FFFF, 0, LNKD, 0 },
                Package (4) { 0x0014FFFF, 1, LNKA, 0 },
                Package (4) { 0x0014FFFF, 2, LNKB, 0 },
                Package (4) { 0x0014FFFF, 3, LNKC, 0 },
                Package (4) { 0x0015FFFF, 0, LNKA, 0 },
                Package (4) { 0x0015FFFF, 1, LNKB, 0 },
                Package (4) { 0x0015FFFF, 2, LNKC, 0 },
                Package (4) { 0x0015FFFF, 3, LNKD, 0 },
                Package (4) { 0x0016FFFF, 0, LNKB, 0 },
                Package (4) { 0x0016FFFF, 1, LNKC, 0 },
                Package (4) { 0x0016FFFF, 2, LNKD, 0 },
                Package (4) { 0x0016FFFF, 3, LNKA, 0 },
                Package (4) { 0x0017FFFF, 0, LNKC, 0 },
                Package (4) { 0x0017FFFF, 1, LNKD, 0 },
                Package (4) { 0x0017FFFF, 2, LNKA, 0 },
                Package (4) { 0x0017FFFF, 3, LNKB, 0 },
                Package (4) { 0x0018FFFF, 0, LNKD, 0 },
                Package (4) { 0x0018FFFF, 1, LNKA, 0 },
                Package (4) { 0x0018FFFF, 2, LNKB, 0 },
                Package (4) { 0x0018FFFF, 3, LNKC, 0 },
                Package (4) { 0x0019FFFF, 0, LNKA, 0 },
                Package (4) { 0x0019FFFF, 1, LNKB, 0 },
                Package (4) { 0x0019FFFF, 2, LNKC, 0 },
                Package (4) { 0x0019FFFF, 3, LNKD, 0 },
                Package (4) { 0x001AFFFF, 0, LNKB, 0 },
                Package (4) { 0x001AFFFF, 1, LNKC, 0 },
                Package (4) { 0x001AFFFF, 2, LNKD, 0 },
                Package (4) { 0x001AFFFF, 3, LNKA, 0 },
                Package (4) { 0x001BFFFF, 0, LNKC, 0 },
                Package (4) { 0x001BFFFF, 1, LNKD, 0 },
                Package (4) { 0x001BFFFF, 2, LNKA, 0 },
                Package (4) { 0x001BFFFF, 3, LNKB, 0 },
                Package (4) { 0x001CFFFF, 0, LNKD, 0 },
                Package (4) { 0x001CFFFF, 1, LNKA, 0 },
                Package (4) { 0x001CFFFF, 2, LNKB, 0 },
                Package (4) { 0x001CFFFF, 3, LNKC, 0 },
                Package (4) { 0x001DFFFF, 0, LNKA, 0 },
                Package (4) { 0x001DFFFF, 1, LNKB, 0 },
                Package (4) { 0x001DFFFF, 2, LNKC, 0 },
                Package (4) { 0x001DFFFF, 3, LNKD, 0 },
                Package (4) { 0x001EFFFF, 0, LNKB, 0 },
                Package (4) { 0x001EFFFF, 1, LNKC, 0 },
                Package (4) { 0x001EFFFF, 2, LNKD, 0 },
                Package (4) { 0x001EFFFF, 3, LNKA, 0 },
                Package (4) { 0x001FFFFF, 0, LNKC, 0 },
                Package (4) { 0x001FFFFF, 1, LNKD, 0 },
                Package (4) { 0x001FFFFF, 2, LNKA, 0 },
                Package (4) { 0x001FFFFF, 3, LNKB, 0 }
            })

            Device (HPET)
            {
                Name (_HID, EisaId ("PNP0103"))
                Name (_UID, Zero)
                Method (_STA) { Return (STAP (0x08)) }
                Name (_CRS, ResourceTemplate ()
                {
                    Memory32Fixed (ReadOnly, 0xFED00000, 0x400)
                })
            }

            // Ports of the board itself: ELCR, port 92h, power management, SMBus.
            Device (MBRD)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x92, 0x92, 1, 1)
                    IO (Decode16, 0xB2, 0xB2, 1, 2)
                    IO (Decode16, 0x4D0, 0x4D0, 1, 2)
                    IO (Decode16, 0x600, 0x600, 1, 0x40)
                    IO (Decode16, 0x700, 0x700, 1, 0x10)
                })
            }

            Device (FWCF)
            {
                Name (_HID, "QEMU0002")
                Name (_STA, 0x0B)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x510, 0x510, 1, 0x0C)
                })
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 4)
                Field (PIRQ, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x70, 0x70, 0x10, 2)
                        IRQNoFlags () { 8 }
                    })
                }
                Device (TIMR)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x40, 0x40, 0x10, 4)
                        IRQNoFlags () { 0 }
                    })
                }
                Device (SPKR)
                {
                    Name (_HID, EisaId ("PNP0800"))
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x61, 0x61, 1, 1) })
                }
                Device (DMAC)
                {
                    Name (_HID, EisaId ("PNP0200"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x00, 0x00, 0x10, 0x10)
                        IO (Decode16, 0x81, 0x81, 1, 0x0F)
                        IO (Decode16, 0xC0, 0xC0, 0x10, 0x20)
                        DMA (Compatibility, NotBusMaster, Transfer8) { 4 }
                    })
                }
                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Method (_STA) { Return (STAP (0x10)) }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x60, 0x60, 1, 1)
                        IO (Decode16, 0x64, 0x64, 1, 1)
                        IRQNoFlags () { 1 }
                    })
                }
                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Method (_STA) { Return (STAP (0x10)) }
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }
                Device (FDC0)
                {
                    Name (_HID, EisaId ("PNP0700"))
                    Method (_STA) { Return (STAP (0x04)) }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x3F2, 0x3F2, 0, 4)
                        IO (Decode16, 0x3F7, 0x3F7, 0, 1)
                        IRQNoFlags () { 6 }
                        DMA (Compatibility, NotBusMaster, Transfer8) { 2 }
                    })
                }
                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Method (_STA) { Return (STAP (0x01)) }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x3F8, 0x3F8, 0, 8)
                        IRQNoFlags () { 4 }
                    })
                }
                Device (COM2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 2)
                    Method (_STA) { Return (STAP (0x02)) }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x2F8, 0x2F8, 0, 8)
                        IRQNoFlags () { 3 }
                    })
                }
            }
        }

        // PIIX3 60h-63h: bit 7 = not routed, bits 3:0 = IRQ.
        Name (LPRS, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
        })
        Name (LCRS, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 0 }
        })
        Method (LSTA, 1)
        {
            If (And (Arg0, 0x80)) { Return (0x09) }
            Return (0x0B)
        }
        Method (LGET, 1, Serialized)
        {
            CreateDWordField (LCRS, 5, IRQN)
            Store (Zero, IRQN)
            If (LNot (And (Arg0, 0x80))) { Store (And (Arg0, 0x0F), IRQN) }
            Return (LCRS)
        }
        Method (LNUM, 1, Serialized)
        {
            CreateDWordField (Arg0, 5, IRQW)
            Return (IRQW)
        }
        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, Zero)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQA)) }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS) { Return (LGET (\_SB.PCI0.ISA.PRQA)) }
            Method (_DIS) { Or (\_SB.PCI0.ISA.PRQA, 0x80, \_SB.PCI0.ISA.PRQA) }
            Method (_SRS, 1) { Store (LNUM (Arg0), \_SB.PCI0.ISA.PRQA) }
        }
        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQB)) }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS) { Return (LGET (\_SB.PCI0.ISA.PRQB)) }
            Method (_DIS) { Or (\_SB.PCI0.ISA.PRQB, 0x80, \_SB.PCI0.ISA.PRQB) }
            Method (_SRS, 1) { Store (LNUM (Arg0), \_SB.PCI0.ISA.PRQB) }
        }
        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQC)) }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS) { Return (LGET (\_SB.PCI0.ISA.PRQC)) }
            Method (_DIS) { Or (\_SB.PCI0.ISA.PRQC, 0x80, \_SB.PCI0.ISA.PRQC) }
            Method (_SRS, 1) { Store (LNUM (Arg0), \_SB.PCI0.ISA.PRQC) }
        }
        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQD)) }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS) { Return (LGET (\_SB.PCI0.ISA.PRQD)) }
            Method (_DIS) { Or (\_SB.PCI0.ISA.PRQD, 0x80, \_SB.PCI0.ISA.PRQD) }
            Method (_SRS, 1) { Store (LNUM (Arg0), \_SB.PCI0.ISA.PRQD) }
        }
        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Name (_STA, 0x0B)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 9 }
            })
            Method (_CRS) { Return (_PRS) }
            Method (_DIS) {}
            Method (_SRS, 1) {}
        }
    }
}
