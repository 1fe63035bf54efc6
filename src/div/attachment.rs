//! Attachments: encryption and compression undone, the digest checked, all of it streaming (national-div 5).

use std::io::{ErrorKind, Read, Write};

use flate2::write::GzDecoder;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sha::Sha512;
use openssl::symm::{Cipher, Crypter, Mode};

use super::Error;
use super::envelope::{EncryptionInfo, FileEntry};
use super::names::SHA512;

/// The content key of a message: AES-CBC, one key and IV for all its files.
#[derive(Clone)]
pub struct ContentKey {
    key: Vec<u8>,
    iv: [u8; 16],
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey")
    }
}

/// What opening an attachment found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Octets of the original content.
    pub size: u64,
    /// SHA-512 of the original content.
    pub sha512: [u8; 64],
    /// True when the envelope's digest is that of the cipher text, as one public client makes it: log it, the content itself
    /// is then not covered.
    pub digest_of_ciphertext: bool,
}

/// Unwraps the content key with our key: RSA-OAEP with SHA-1; the block is length, key, IV.
///
/// # Errors
/// [`Error::Attachment`] when it is not our key's; one text for every reason.
pub fn unwrap_key(info: &EncryptionInfo, key: &PKey<Private>) -> Result<ContentKey, Error> {
    let refused =
        || Error::Attachment { name: "EncryptionInfo".to_owned(), problem: "cannot be decrypted".to_owned() };
    let rsa = key.rsa().map_err(|_| refused())?;
    let mut block = vec![0; rsa.size() as usize];
    let length = rsa.private_decrypt(&info.key, &mut block, Padding::PKCS1_OAEP).map_err(|_| refused())?;
    block.truncate(length);
    let (size, rest) = block.split_first().ok_or_else(refused)?;
    let size = usize::from(*size);
    if !matches!(size, 16 | 24 | 32) || rest.len() != size + 16 {
        return Err(refused());
    }
    let (key, iv) = rest.split_at(size);
    Ok(ContentKey { key: key.to_vec(), iv: iv.try_into().map_err(|_| refused())? })
}

/// Writes the original content of `file` to `output`: decrypts with `key` if there is one, unpacks if it is compressed, and
/// checks its SHA-512. At most `most` octets are written.
///
/// # Errors
/// [`Error::Attachment`] when the content is not what the envelope says, is too large, or cannot be decrypted.
pub fn open_attachment(
    file: &FileEntry,
    key: Option<&ContentKey>,
    input: &mut dyn Read,
    output: &mut dyn Write,
    most: u64,
) -> Result<Opened, Error> {
    if file.digest_method != SHA512 {
        return Err(wrong(file, format!("digest method `{}` is not SHA-512", file.digest_method)));
    }
    let mut plain = Plain { output, hash: Sha512::new(), size: 0, most };
    let mut wire = Sha512::new();
    let copied = match file.compressed {
        true => {
            let mut unpacked = GzDecoder::new(&mut plain);
            decrypt(input, key, &mut wire, &mut unpacked).and_then(|()| Ok(unpacked.try_finish()?))
        }
        false => decrypt(input, key, &mut wire, &mut plain),
    };
    copied.map_err(|error| match error {
        Error::Io(error) if is_of_the_content(error.kind()) => wrong(file, error.to_string()),
        other => other,
    })?;
    judge(file, key.is_some(), plain, wire)
}

/// What a decompressor or the limit says; everything else comes from our disk.
fn is_of_the_content(kind: ErrorKind) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof, WriteZero};
    matches!(kind, InvalidData | InvalidInput | Other | UnexpectedEof | WriteZero)
}

fn judge(file: &FileEntry, encrypted: bool, plain: Plain<'_>, wire: Sha512) -> Result<Opened, Error> {
    let (size, sha512, wire) = (plain.size, plain.hash.finish(), wire.finish());
    if sha512.as_slice() == file.digest {
        if size != file.size {
            return Err(wrong(file, format!("has {size} octets, the envelope says {}", file.size)));
        }
        return Ok(Opened { size, sha512, digest_of_ciphertext: false });
    }
    if encrypted && wire.as_slice() == file.digest {
        return Ok(Opened { size, sha512, digest_of_ciphertext: true });
    }
    Err(wrong(file, "its SHA-512 is not the one in the envelope"))
}

fn wrong(file: &FileEntry, problem: impl Into<String>) -> Error {
    Error::Attachment { name: file.name.clone(), problem: problem.into() }
}

/// Copies `input`, hashed as it came, decrypted when there is a key.
fn decrypt(
    input: &mut dyn Read,
    key: Option<&ContentKey>,
    wire: &mut Sha512,
    output: &mut dyn Write,
) -> Result<(), Error> {
    let mut crypter = key.map(crypter).transpose()?;
    let mut buffer = vec![0; 64 * 1024];
    let mut decrypted = vec![0; 64 * 1024 + 32];
    loop {
        let count = input.read(&mut buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        wire.update(read);
        match &mut crypter {
            None => output.write_all(read)?,
            Some(crypter) => {
                let count = crypter.update(read, &mut decrypted).map_err(undecryptable)?;
                output.write_all(&decrypted[..count])?;
            }
        }
    }
    if let Some(crypter) = &mut crypter {
        let count = crypter.finalize(&mut decrypted).map_err(undecryptable)?;
        output.write_all(&decrypted[..count])?;
    }
    Ok(())
}

fn crypter(key: &ContentKey) -> Result<Crypter, Error> {
    let cipher = match key.key.len() {
        16 => Cipher::aes_128_cbc(),
        24 => Cipher::aes_192_cbc(),
        _ => Cipher::aes_256_cbc(),
    };
    Ok(Crypter::new(cipher, Mode::Decrypt, &key.key, Some(&key.iv))?)
}

fn undecryptable(_: openssl::error::ErrorStack) -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, "cannot be decrypted"))
}

/// The end of the pipe: counts, hashes, limits.
struct Plain<'a> {
    output: &'a mut dyn Write,
    hash: Sha512,
    size: u64,
    most: u64,
}

impl Write for Plain<'_> {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.size += octets.len() as u64;
        if self.size > self.most {
            let problem = format!("unpacks to more than {} octets", self.most);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
        }
        self.hash.update(octets);
        self.output.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
